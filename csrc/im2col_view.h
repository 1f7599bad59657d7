// The column matrix of a convolution as a view of the image: described, packed block by block, and
// never stored.
//
//   B[(c * taps_h + ty) * taps_w + tx][(n * grid_h + gy) * grid_w + gx]
//       = image[n * batch_stride + c * channel_stride + y * in_w + x], or 0 outside the image,
//     y = gy * stride_h + ty * dilation_h + origin_h,   x likewise
//
// The forward pass reads x this way, backward_data reads dy (once for each phase of the stride),
// and backward_weights reads x again, transposed while packing.
#pragma once

#include "geometry.h"
#include "kernel_table.h"
#include "workspace.h"

namespace convolt {

// The columns of B as rows of so many, each consecutive in its source.
struct ColumnGrid {
  int64_t columns, row_length;
};

struct Im2colView {
  int64_t channels, in_h, in_w;
  int64_t batch_stride, channel_stride;
  int64_t taps_h, taps_w, dilation_h, dilation_w;
  int64_t origin_h, origin_w;
  int64_t batch, grid_h, grid_w, stride_h, stride_w;

  int64_t taps() const { return taps_h * taps_w; }
  int64_t rows() const { return channels * taps(); }
  int64_t columns() const { return batch * grid_h * grid_w; }
  // A 1 x 1 window on every pixel: the rows of B are the planes of the image as they are.
  bool is_plain() const {
    return taps() == 1 && stride_h == 1 && stride_w == 1 && origin_h == 0 && origin_w == 0 &&
           grid_h == in_h && grid_w == in_w;
  }
  // Columns of one source row (or, if plain, plane): consecutive sources.
  int64_t row_length() const { return is_plain() ? grid_h * grid_w : grid_w; }
  ColumnGrid grid() const { return {columns(), row_length()}; }
};

// A panel of B where it lies: data[k * pitch + column].
template <typename T>
struct PanelOfB {
  const T* data;  // null: it does not lie so
  int64_t pitch;
};

// The columns that forward and backward_weights read from group `g` of x.
Im2colView forward_view(const Conv2dProblem& p);

// All columns of a grid in blocks of at most `size`, the unit of work of one task.
// Wide rows are cut evenly, so that no block holds two pieces of them: that bounds the scratch.
struct ColumnBlocks {
  ColumnBlocks(const ColumnGrid& grid, int64_t max_size, int64_t multiple);

  int64_t count;
  int64_t size;  // of the largest block

  int64_t first(int64_t block) const;
  int64_t columns(int64_t block) const;

 private:
  int64_t columns_, row_length_;
  int64_t blocks_per_row_;  // 0: rows are shorter than a block
};

// One block of columns, ready to be packed: which padded rows it needs, and where each of its
// columns lies in them. Prepared once, used for every channel.
class ColumnBlock {
 public:
  // Room for any block of the view; the slices come from the caller's scratch.
  ColumnBlock(const Im2colView& view, const ColumnBlocks& blocks, int64_t panel_width,
              Slicer& scratch);

  void prepare(int64_t first, int64_t columns);

  int64_t panel_count() const { return panels_.panels; }

  // Where the panels [first_panel, end_panel) go:
  //   packed[p * panel_pitch + (row - row_begin) * row_pitch + j]
  struct Packing {
    int64_t panel_pitch, row_pitch;
    int64_t first_panel, end_panel;
    bool exact = false;  // nothing is written past the columns
  };

  // Packs rows [row_begin, row_end) of B, panel by panel. `padded` is scratch of padded_elements(),
  // the same one until the next prepare(): it keeps the last channel for the next call.
  template <typename T>
  void pack(const KernelTable<T>& kernels, const T* image, int64_t row_begin, int64_t row_end,
            T* padded, T* packed, const Packing& packing);

  // Panel p of the rows from `row` on where it lies in the image as whole vectors, else nothing.
  template <typename T>
  PanelOfB<T> panel_in_place(const KernelTable<T>& kernels, const T* image, int64_t row,
                             int64_t p) const;

  // Elements of scratch for one padded channel of any block, the slack of gather_taps included.
  static int64_t padded_elements(const Im2colView& view, const ColumnBlocks& blocks, int64_t slack);

 private:
  void sample_rows(int64_t first_row, int64_t row_count);
  void sample_columns(int64_t first_x, int64_t length);

  const Im2colView& view_;
  int64_t panel_width_;
  int64_t* row_offsets_;
  int64_t* row_base_;  // of each grid row of the block: its first padded row
  RowSampling* samplings_;
  int64_t* tap_row_;
  int64_t* tap_column_;
  int64_t* tap_offsets_;
  PixelRun* runs_;
  int64_t* first_run_;
  PaddedRows padded_{};
  PixelPanels panels_{};
  const void* padded_plane_ = nullptr;
};

// Cuts the columns [first, first + columns) at the panels' and at the rows' ends, and calls
// f(panel, column in the panel, row, offset in the row, length) for each piece, in order.
template <typename F>
void for_each_run(int64_t first, int64_t columns, int64_t panel_width, int64_t row_length, F&& f) {
  int64_t row = first / row_length;
  int64_t offset = first % row_length;
  for (int64_t done = 0; done < columns;) {
    const int64_t in_panel = done % panel_width;
    int64_t length = panel_width - in_panel;
    if (length > row_length - offset) length = row_length - offset;
    if (length > columns - done) length = columns - done;
    f(done / panel_width, in_panel, row, offset, length);
    done += length;
    offset += length;
    if (offset == row_length) {
      offset = 0;
      ++row;
    }
  }
}

}  // namespace convolt
