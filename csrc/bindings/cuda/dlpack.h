// The structures of DLPack 1.0, as its specification lays them out in memory.
#pragma once

#include <cstdint>

namespace convolt::cuda::dlpack {

constexpr int32_t kCuda = 2, kCudaManaged = 13;
constexpr uint8_t kInteger = 0, kUnsigned = 1, kFloating = 2;
constexpr uint64_t kReadOnly = 1;

struct Device {
  int32_t type, id;
};

struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};

struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null: contiguous
  uint64_t byte_offset;
};

// The consumer calls the deleter, once.
struct Managed {
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};

struct Version {
  uint32_t major, minor;
};

struct ManagedVersioned {
  Version version;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  Tensor tensor;
};

// Names of capsules, before and after somebody took what is in them.
template <typename M>
inline constexpr const char* capsule_name = "dltensor";
template <>
inline constexpr const char* capsule_name<ManagedVersioned> = "dltensor_versioned";
template <typename M>
inline constexpr const char* used_name = "used_dltensor";
template <>
inline constexpr const char* used_name<ManagedVersioned> = "used_dltensor_versioned";

}  // namespace convolt::cuda::dlpack
