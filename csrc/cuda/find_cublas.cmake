# Finds cuBLAS: convolt::cublas, and the folder of its library in cublas_library_dir. Header and
# library are of one place, the first of
#   CONVOLT_CUBLAS_DIR, which has include/ and lib/;
#   the CUDA toolkit;
#   NVIDIA's wheels: nvidia/cu13/ or, before CUDA 13, nvidia/cublas/, in the interpreter's
#   site-packages or elsewhere on its path, as in the environment that pip makes for a build.

find_package(CUDAToolkit REQUIRED)
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
    "import sys, sysconfig; print(';'.join([sysconfig.get_path('purelib'), *filter(None, sys.path)]))"
  OUTPUT_VARIABLE python_path
  OUTPUT_STRIP_TRAILING_WHITESPACE)

set(cuda_major ${CUDAToolkit_VERSION_MAJOR})
if(cuda_major GREATER_EQUAL 13)
  set(wheel nvidia-cublas)
  set(wheel_folder nvidia/cu${cuda_major})
else()
  set(wheel nvidia-cublas-cu${cuda_major})
  set(wheel_folder nvidia/cublas)
endif()
list(TRANSFORM python_path APPEND "/${wheel_folder}" OUTPUT_VARIABLE wheel_roots)

# The wheels have no libcublas.so, only the file that the loader wants.
set(cublas_file libcublas.so.${cuda_major})
set(cublas_library_dir)
set(cublas_include_dirs ${CUDAToolkit_INCLUDE_DIRS})
foreach(candidate IN LISTS CONVOLT_CUBLAS_DIR CUDAToolkit_LIBRARY_DIR wheel_roots)
  foreach(folder "${candidate}" "${candidate}/lib64" "${candidate}/lib")
    if(NOT cublas_library_dir AND EXISTS "${folder}/${cublas_file}")
      set(cublas_library_dir "${folder}")
      if(EXISTS "${candidate}/include/cublas_v2.h")
        set(cublas_include_dirs "${candidate}/include")
      endif()
    endif()
  endforeach()
endforeach()
find_file(cublas_header cublas_v2.h PATHS ${cublas_include_dirs} NO_DEFAULT_PATH)
if(NOT cublas_library_dir OR NOT cublas_header)
  message(FATAL_ERROR
    "\n"
    "  convolt needs cuBLAS, and neither the CUDA toolkit in ${CUDAToolkit_LIBRARY_DIR} nor the\n"
    "  packages of ${Python_EXECUTABLE} have ${cublas_file} and cublas_v2.h.\n"
    "  Install it with:  pip install ${wheel}\n"
    "  or name a folder with include/ and lib/:  -C cmake.define.CONVOLT_CUBLAS_DIR=...\n")
endif()
message(STATUS "cuBLAS: ${cublas_library_dir}/${cublas_file}")

add_library(convolt::cublas SHARED IMPORTED)
set_target_properties(convolt::cublas PROPERTIES
  IMPORTED_LOCATION "${cublas_library_dir}/${cublas_file}"
  INTERFACE_INCLUDE_DIRECTORIES "${cublas_include_dirs}")
