// A weight made ready for many forward passes.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "weight_view.h"
#include "workspace.h"

namespace convolt {

// A copy of a weight (OC, C/groups, KH, KW), and the forms in which the kernels want it: each is
// made when a call first needs it, and kept. Calls from several threads at once are safe.
template <typename T>
class PreparedWeight {
 public:
  // Which form: panels of so many rows, or filters transformed for tiles of such a size.
  struct Form {
    int64_t panel_width, tile;
  };

  PreparedWeight(const T* weight, int64_t elements) : weight_(weight, weight + elements) {}

  const T* data() const { return weight_.data(); }

  // The panels of `width` rows of each of `groups` weights, one after the other. `a` is the first.
  PackedWeight<T> panels(const KernelTable<T>& kernels, const WeightView<T>& a, int64_t groups,
                         int64_t weight_step, int64_t width) const;

  // The form for these kernels; make(T*) writes its elements where it is new.
  template <typename Make>
  const T* get(const KernelTable<T>& kernels, const Form& form, int64_t elements,
               Make&& make) const {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.kernels == &kernels && entry.form.panel_width == form.panel_width &&
          entry.form.tile == form.tile) {
        return entry.data.get();
      }
    }
    const auto bytes = static_cast<std::size_t>(elements) * sizeof(T);
    Entry entry = {&kernels, form, {nullptr, Free{bytes}}};
    entry.data.reset(reinterpret_cast<T*>(allocate_block(bytes)));
    make(entry.data.get());
    entries_.push_back(std::move(entry));
    return entries_.back().data.get();
  }

 private:
  struct Free {
    std::size_t bytes;
    void operator()(T* data) const { free_block(reinterpret_cast<std::byte*>(data), bytes); }
  };
  struct Entry {
    const KernelTable<T>* kernels;
    Form form;
    std::unique_ptr<T, Free> data;
  };

  std::vector<T> weight_;
  mutable std::recursive_mutex mutex_;  // make() handles signals, and a handler may convolve too
  mutable std::vector<Entry> entries_;
};

}  // namespace convolt
