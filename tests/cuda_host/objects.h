// The objects behind the handles of an API: made, known, and destroyed once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

namespace convolt::cuda_host {

template <typename T>
class Objects {
 public:
  T* add(T* object) {
    objects_.emplace_back(object);
    return object;
  }
  void remove(T* object) { objects_.erase(find(object)); }
  bool contains(const T* object) const { return find(object) != objects_.end(); }
  // In the order in which they were made.
  auto begin() const { return objects_.begin(); }
  auto end() const { return objects_.end(); }
  int64_t size() const { return static_cast<int64_t>(objects_.size()); }

 private:
  auto find(const T* object) const {
    return std::find_if(begin(), end(), [=](const auto& known) { return known.get() == object; });
  }

  std::vector<std::unique_ptr<T>> objects_;
};

}  // namespace convolt::cuda_host
