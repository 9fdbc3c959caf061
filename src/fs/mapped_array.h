// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <utility>

namespace castore::fs {

// Room for values of one type, zeroed, straight from the system and straight back to it, where a
// heap might keep what was freed between things that stay. Takes whole pages, each when it is first
// written. Values that are more than their bytes are made and destroyed by the owner.
template <typename T>
class MappedArray {
 public:
  MappedArray() = default;
  explicit MappedArray(size_t count) : count_(count) {
    void* mapped = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    items_ = static_cast<T*>(mapped);
  }
  MappedArray(MappedArray&& other) noexcept
      : items_(std::exchange(other.items_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  MappedArray& operator=(MappedArray&& other) noexcept {
    std::swap(items_, other.items_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~MappedArray() {
    if (items_ != nullptr) ::munmap(items_, count_ * sizeof(T));
  }

  explicit operator bool() const { return items_ != nullptr; }
  T* data() const { return items_; }
  T& operator[](size_t i) const { return items_[i]; }
  size_t size() const { return count_; }

  size_t bytes() const {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    return (count_ * sizeof(T) + page - 1) / page * page;
  }

 private:
  T* items_ = nullptr;
  size_t count_ = 0;
};

}  // namespace castore::fs
