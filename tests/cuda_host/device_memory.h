// The memory of the devices: addresses that are reserved once, so that a comparison tells device
// memory from host memory, and an offset finds its shadow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "shadow.h"

namespace convolt::cuda_host {

AddressRange device_range(int device);
// Of all devices; empty until the first allocation.
extern AddressRange all_device_memory;

// The cell of the word at a device's address.
Cell* cells_at(std::size_t address);

// Addresses for an allocation, at once; null where there is no room. Nobody may use them before
// begin_life(), which comes in stream order.
void* reserve(int device, std::size_t bytes);
void begin_life(void* address);
// Gives the allocation up, at once: its bytes do not count any more. Throws std::invalid_argument
// with a reason for what is not an allocation, or not any more.
void give_up(void* address);
// Nobody may use the memory from here on. It stays out of use for a while, so that whoever does is
// found. False if begin_life() has not come before.
bool end_life(void* address);

// What an address is, as in "byte 12 of an allocation of 400 bytes".
std::string describe(std::size_t address);

// The reason why the bytes cannot be read or written; empty if they can. Reads want values.
std::string fault_of_reading(const void* address, std::size_t bytes);
std::string fault_of_writing(const void* address, std::size_t bytes);
// What has been written into them without a kernel.
void mark_valued(void* address, std::size_t bytes);
void copy_valued(void* to, const void* from, std::size_t bytes);

// The device of live memory at the address, or -1.
int device_of_memory(const void* address);

int64_t live_allocations();
std::size_t used_bytes(int device);

}  // namespace convolt::cuda_host
