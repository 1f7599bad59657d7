# The stand-in of the CUDA runtime and of cuBLAS, for code that is compiled as C++ instead of by
# nvcc: target_use_cuda_stand_in(TARGET) does so with the .cu sources of a target.

set(cuda_host_dir "${CMAKE_CURRENT_LIST_DIR}")
add_library(cuda_host STATIC
  ${cuda_host_dir}/blas.cpp
  ${cuda_host_dir}/device_memory.cpp
  ${cuda_host_dir}/devices.cpp
  ${cuda_host_dir}/fiber.cpp
  ${cuda_host_dir}/launch.cpp
  ${cuda_host_dir}/memory_calls.cpp
  ${cuda_host_dir}/report.cpp
  ${cuda_host_dir}/streams.cpp
  ${cuda_host_dir}/symbols.cpp)
target_include_directories(cuda_host PUBLIC "${cuda_host_dir}/include")
target_compile_options(cuda_host PRIVATE $<$<CONFIG:Release>:-O2>)

function(target_use_cuda_stand_in target)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "\\.cu$")
  set_source_files_properties(${sources} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
  target_compile_definitions(${target} PUBLIC CONVOLT_CUDA_HOST)
  target_compile_options(${target} PRIVATE -Wno-unknown-pragmas -ffp-contract=off)
  target_link_libraries(${target} PUBLIC cuda_host)
endfunction()
