# The second back end: convolt._cuda, from the same bindings and problems as _core. With
# CONVOLT_CUDA_HOST the unchanged sources are compiled as C++ and run on the host, against the
# stand-in of the CUDA runtime in tests/cuda_host, which checks what they do.

set(cuda_sources
  csrc/cuda/device.cu)
list(TRANSFORM cuda_sources PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
add_library(convolt_cuda STATIC ${cuda_sources})
target_include_directories(convolt_cuda PUBLIC csrc)
# The rule of kernels/extremum_rule.h, in the namespace of this back end.
target_compile_definitions(convolt_cuda PRIVATE CONVOLT_ISA=cuda)

if(CONVOLT_CUDA_HOST)
  include(tests/cuda_host/cuda_host.cmake)
  target_use_cuda_stand_in(convolt_cuda)
else()
  # What the toolkit knows of sm_75 to sm_120, and for later ones code that the driver compiles.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES OFF)
    set(default_architectures ON)
  endif()
  enable_language(CUDA)
  if(default_architectures)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 120)
    endif()
  endif()
  set_target_properties(convolt_cuda PROPERTIES
    CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}"
    CUDA_STANDARD 17
    CUDA_STANDARD_REQUIRED ON
    CUDA_RUNTIME_LIBRARY Static)
  target_compile_options(convolt_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v,--warn-on-spills -Xcompiler=-Wall,-Wextra>)
  if(CONVOLT_WERROR)
    target_compile_options(convolt_cuda PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xptxas=-Werror -Xcompiler=-Werror>)
  endif()
  include(csrc/cuda/find_cublas.cmake)
  target_link_libraries(convolt_cuda PUBLIC convolt::cublas)
endif()
