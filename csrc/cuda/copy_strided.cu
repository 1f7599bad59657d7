#include <cassert>

#include "elementwise.h"
#include "strided_walk.cuh"

namespace convolt::cuda {
namespace {

template <typename Element>
__global__ void __launch_bounds__(kThreads)
    copy_strided_kernel(int64_t count, StridedWalk<2> walk, const Element* from, Element* to) {
  for (int64_t i = first_element(); i < count; i += all_threads()) {
    int64_t at[2];
    walk.find(i, at);
    to[at[1]] = from[at[0]];
  }
}

template <typename Element>
void copy_elements(const StridedWalk<2>& walk, const void* from, void* to) {
  const int64_t count = walk.count();
  launch("copy_strided", copy_strided_kernel<Element>, grid_of_threads(count), count, walk,
         static_cast<const Element*>(from), static_cast<Element*>(to));
}

}  // namespace

void copy_strided(int64_t element_bytes, const Extents& extents, const void* from,
                  const Extents& from_strides, void* to, const Extents& to_strides) {
  const StridedWalk<2> walk = strided_walk<2>(extents, {from_strides, to_strides});
  if (walk.is_contiguous()) {
    copy_on_device(to, from, static_cast<std::size_t>(walk.count() * element_bytes));
  } else if (element_bytes == 1) {
    copy_elements<uint8_t>(walk, from, to);
  } else if (element_bytes == 4) {
    copy_elements<uint32_t>(walk, from, to);
  } else {
    assert(element_bytes == 8);
    copy_elements<uint64_t>(walk, from, to);
  }
}

}  // namespace convolt::cuda
