# The second back end: convolt._cuda, from the same bindings and problems as _core. With
# CONVOLT_CUDA_HOST the unchanged sources are compiled as C++ and run on the host, against the
# stand-in of the CUDA runtime in tests/cuda_host, which checks what they do.

if(CONVOLT_CUDA AND CONVOLT_CUDA_HOST)
  message(FATAL_ERROR "CONVOLT_CUDA and CONVOLT_CUDA_HOST are two builds of one module: choose one.")
endif()
if(CONVOLT_SANITIZE)
  message(FATAL_ERROR "CONVOLT_SANITIZE is for the back end of the CPU alone: the stand-in has checks of its own.")
endif()

# --- the kernels --------------------------------------------------------------------------------

set(cuda_sources
  batch_norm.cu
  bias.cu
  blas.cu
  columns.cu
  conv2d.cu
  copy_strided.cu
  device.cu
  direct.cu
  elementwise.cu
  global_pool2d.cu
  im2col.cu
  implicit_gemm.cu
  implicit_gemm_weights.cu
  kernel_choice.cu
  local_response_norm.cu
  optimizers.cu
  pool2d.cu
  pool2d_backward.cu
  reduce.cu
  tile_shapes.cu
  timing.cu
  yardsticks.cu)
list(TRANSFORM cuda_sources PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/csrc/cuda/")
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
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8) # 100 also as what becomes 110
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100 120)
    endif()
  endif()
  set_target_properties(convolt_cuda PROPERTIES
    CUDA_ARCHITECTURES "${CMAKE_CUDA_ARCHITECTURES}"
    CUDA_STANDARD 17
    CUDA_STANDARD_REQUIRED ON
    CUDA_RUNTIME_LIBRARY Static
    CUDA_VISIBILITY_PRESET hidden)
  # The resources of every kernel are printed, by a build with -v; -Xptxas=-Werror: no spills.
  target_compile_options(convolt_cuda PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v,--warn-on-spills -Xcompiler=-Wall,-Wextra>)
  if(CONVOLT_WERROR)
    target_compile_options(convolt_cuda PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xptxas=-Werror -Xcompiler=-Werror>)
  endif()
  include(csrc/cuda/find_cublas.cmake)
  target_link_libraries(convolt_cuda PUBLIC convolt::cublas)
endif()

# --- the Python module --------------------------------------------------------------------------

set(cuda_bindings
  call.cpp
  device_array.cpp
  device_arrays.cpp
  devices.cpp
  dlpack.cpp
  elementwise.cpp
  interchange.cpp
  join.cpp
  local_response_norm.cpp
  module.cpp)
if(CONVOLT_CUDA_HOST)
  list(APPEND cuda_bindings host.cpp)
endif()
list(TRANSFORM cuda_bindings PREPEND csrc/bindings/cuda/)
# Of the engine's files these two are all that is needed.
if(CONVOLT_CUDA_HOST)
  set(module_options NO_EXTRAS)  # no optimization while linking, which takes longer than the tests
endif()
pybind11_add_module(_cuda MODULE ${module_options}
  ${shared_bindings}
  ${cuda_bindings}
  csrc/algorithm.cpp
  csrc/geometry.cpp)
target_link_libraries(_cuda PRIVATE convolt_cuda)
target_compile_definitions(_cuda PRIVATE CONVOLT_CUDA_BINDINGS)
target_compile_options(_cuda PRIVATE $<$<CONFIG:Release>:-O2>)
if(CONVOLT_CUDA)
  # Beside convolt in site-packages, where NVIDIA's wheels put it, or where it was for the build.
  set_target_properties(_cuda PROPERTIES
    INSTALL_RPATH "$ORIGIN/../nvidia/cu13/lib;$ORIGIN/../nvidia/cublas/lib;${cublas_library_dir}")
endif()
install(TARGETS _cuda LIBRARY DESTINATION convolt)
