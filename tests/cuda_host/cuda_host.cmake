# The stand-in of the CUDA runtime and of cuBLAS, for code that is compiled as C++ instead of by
# nvcc: target_use_cuda_stand_in(TARGET) does so with the .cu sources of a target.

set(cuda_host_dir "${CMAKE_CURRENT_LIST_DIR}")
add_library(cuda_host STATIC
  ${cuda_host_dir}/access.cpp
  ${cuda_host_dir}/blas.cpp
  ${cuda_host_dir}/device_memory.cpp
  ${cuda_host_dir}/devices.cpp
  ${cuda_host_dir}/fiber.cpp
  ${cuda_host_dir}/instrumentation.cpp
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
  # The calls of -fsanitize are those of instrumentation.cpp: none of the compiler's libraries.
  target_compile_options(${target} PRIVATE
    -g1 -ffp-contract=off -Wno-unknown-pragmas
    -fsanitize=thread --param tsan-instrument-func-entry-exit=0
    -fsanitize=bounds,alignment,signed-integer-overflow,integer-divide-by-zero,shift)
  target_link_libraries(${target} PUBLIC cuda_host)
endfunction()

# The proof of the stand-in itself: planted faults, and their twins without.
set(selftest_dir "${cuda_host_dir}/selftest")
add_library(cuda_host_cases STATIC EXCLUDE_FROM_ALL
  ${selftest_dir}/blas_cases.cu
  ${selftest_dir}/call_cases.cu
  ${selftest_dir}/memory_cases.cu
  ${selftest_dir}/race_cases.cu
  ${selftest_dir}/shared_memory_cases.cu
  ${selftest_dir}/stream_cases.cu)
target_use_cuda_stand_in(cuda_host_cases)
target_compile_options(cuda_host_cases PRIVATE $<$<CONFIG:Release>:-O2>)
add_executable(cuda_host_selftest EXCLUDE_FROM_ALL ${selftest_dir}/selftest.cpp)
target_link_libraries(cuda_host_selftest PRIVATE cuda_host_cases)
