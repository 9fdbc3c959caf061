// SPDX-License-Identifier: MIT OR Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// What the kernel and a FUSE server say to each other, byte for byte: protocol 7.31 to 7.45.
// Declared here rather than taken from <linux/fuse.h>, because the distribution's header is older
// than the kernels castore runs on, and virtiofs needs it where that header does not matter.
//
// All numbers are in the byte order of the machine. Every struct has the alignment of its members
// and no padding of its own; requests are copied out of their buffers, so buffers may lie anywhere.
// docs/protocols/fuse.md says which operation uses what.
namespace castore::fuse::abi {

inline constexpr uint32_t kMajor = 7;
inline constexpr uint32_t kMinor = 45;
// The oldest kernels served (Linux 5.4). Since then no struct used here has changed its size, and
// large reads and cached symlinks are there.
inline constexpr uint32_t kMinorMin = 31;

inline constexpr uint64_t kRootNode = 1;

enum class Opcode : uint32_t {
  kLookup = 1,
  kForget = 2,
  kGetattr = 3,
  kSetattr = 4,
  kReadlink = 5,
  kSymlink = 6,
  kMknod = 8,
  kMkdir = 9,
  kUnlink = 10,
  kRmdir = 11,
  kRename = 12,
  kLink = 13,
  kOpen = 14,
  kRead = 15,
  kWrite = 16,
  kStatfs = 17,
  kRelease = 18,
  kFsync = 20,
  kSetxattr = 21,
  kGetxattr = 22,
  kListxattr = 23,
  kRemovexattr = 24,
  kFlush = 25,
  kInit = 26,
  kOpendir = 27,
  kReaddir = 28,
  kReleasedir = 29,
  kFsyncdir = 30,
  kGetlk = 31,
  kSetlk = 32,
  kSetlkw = 33,
  kAccess = 34,
  kCreate = 35,
  kInterrupt = 36,
  kBmap = 37,
  kDestroy = 38,
  kIoctl = 39,
  kPoll = 40,
  kNotifyReply = 41,
  kBatchForget = 42,
  kFallocate = 43,
  kReaddirplus = 44,
  kRename2 = 45,
  kLseek = 46,
  kCopyFileRange = 47,
  kSetupmapping = 48,
  kRemovemapping = 49,
  kSyncfs = 50,
  kTmpfile = 51,
  kStatx = 52,
  kCopyFileRange64 = 53,
};

// Flags of INIT. The upper half travels in `flags2`, and only if kInitExt is set on both sides.
inline constexpr uint64_t kAsyncRead = uint64_t{1} << 0;
inline constexpr uint64_t kExportSupport = uint64_t{1} << 4;
inline constexpr uint64_t kSpliceWrite = uint64_t{1} << 7;
inline constexpr uint64_t kSpliceMove = uint64_t{1} << 8;
inline constexpr uint64_t kSpliceRead = uint64_t{1} << 9;
inline constexpr uint64_t kDoReaddirplus = uint64_t{1} << 13;
inline constexpr uint64_t kReaddirplusAuto = uint64_t{1} << 14;
inline constexpr uint64_t kNoOpenSupport = uint64_t{1} << 17;
inline constexpr uint64_t kParallelDirops = uint64_t{1} << 18;
inline constexpr uint64_t kAbortError = uint64_t{1} << 21;
inline constexpr uint64_t kMaxPages = uint64_t{1} << 22;
inline constexpr uint64_t kCacheSymlinks = uint64_t{1} << 23;
inline constexpr uint64_t kNoOpendirSupport = uint64_t{1} << 24;
inline constexpr uint64_t kInitExt = uint64_t{1} << 30;
inline constexpr uint64_t kPassthrough = uint64_t{1} << 37;
inline constexpr uint64_t kNoExportSupport = uint64_t{1} << 38;
inline constexpr uint64_t kAllowIdmap = uint64_t{1} << 40;
inline constexpr uint64_t kOverIoUring = uint64_t{1} << 41;

// Flags of the answers to OPEN and OPENDIR.
inline constexpr uint32_t kOpenKeepCache = 1u << 1;
inline constexpr uint32_t kOpenCacheDir = 1u << 3;
inline constexpr uint32_t kOpenNoFlush = 1u << 5;
inline constexpr uint32_t kOpenPassthrough = 1u << 7;

// The interrupt of request N carries the number N | 1 for itself; requests are even.
inline constexpr uint64_t kInterruptBit = 1;

struct InHeader {
  uint32_t len;  // of the whole request, this header included
  uint32_t opcode;
  uint64_t unique;
  uint64_t nodeid;
  uint32_t uid;
  uint32_t gid;
  uint32_t pid;
  uint16_t total_extlen;  // of the extensions at the request's end, in units of 8 bytes
  uint16_t padding;
};
static_assert(sizeof(InHeader) == 40);

struct OutHeader {
  uint32_t len;
  int32_t error;  // 0 or a negative errno
  uint64_t unique;
};
static_assert(sizeof(OutHeader) == 16);

struct InitIn {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
};
static_assert(sizeof(InitIn) == 16);

// What follows InitIn since 7.36.
struct InitInExtension {
  uint32_t flags2;
  uint32_t unused[11];
};
static_assert(sizeof(InitInExtension) == 48);

struct InitOut {
  uint32_t major;
  uint32_t minor;
  uint32_t max_readahead;
  uint32_t flags;
  uint16_t max_background;
  uint16_t congestion_threshold;
  uint32_t max_write;
  uint32_t time_gran;
  uint16_t max_pages;
  uint16_t map_alignment;
  uint32_t flags2;
  uint32_t max_stack_depth;
  uint16_t request_timeout;
  uint16_t unused[11];
};
static_assert(sizeof(InitOut) == 64);

struct Attr {
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t atime;
  uint64_t mtime;
  uint64_t ctime;
  uint32_t atimensec;
  uint32_t mtimensec;
  uint32_t ctimensec;
  uint32_t mode;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint32_t rdev;
  uint32_t blksize;
  uint32_t flags;
};
static_assert(sizeof(Attr) == 88);

struct EntryOut {
  uint64_t nodeid;  // 0: there is no such name, and that may be remembered
  uint64_t generation;
  uint64_t entry_valid;
  uint64_t attr_valid;
  uint32_t entry_valid_nsec;
  uint32_t attr_valid_nsec;
  Attr attr;
};
static_assert(sizeof(EntryOut) == 128);

struct AttrOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t dummy;
  Attr attr;
};
static_assert(sizeof(AttrOut) == 104);

struct GetattrIn {
  uint32_t getattr_flags;
  uint32_t dummy;
  uint64_t fh;
};
static_assert(sizeof(GetattrIn) == 16);

struct ForgetIn {
  uint64_t nlookup;
};
static_assert(sizeof(ForgetIn) == 8);

struct ForgetOne {
  uint64_t nodeid;
  uint64_t nlookup;
};
static_assert(sizeof(ForgetOne) == 16);

struct BatchForgetIn {
  uint32_t count;
  uint32_t dummy;
};
static_assert(sizeof(BatchForgetIn) == 8);

// OPEN and OPENDIR.
struct OpenIn {
  uint32_t flags;  // as of open(2)
  uint32_t open_flags;
};
static_assert(sizeof(OpenIn) == 8);

struct OpenOut {
  uint64_t fh;
  uint32_t open_flags;
  int32_t backing_id;
};
static_assert(sizeof(OpenOut) == 16);

// READ, READDIR and READDIRPLUS.
struct ReadIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t size;
  uint32_t read_flags;
  uint64_t lock_owner;
  uint32_t flags;
  uint32_t padding;
};
static_assert(sizeof(ReadIn) == 40);

// RELEASE and RELEASEDIR.
struct ReleaseIn {
  uint64_t fh;
  uint32_t flags;
  uint32_t release_flags;
  uint64_t lock_owner;
};
static_assert(sizeof(ReleaseIn) == 24);

// The head of one record of READDIR; the name follows, and zeros up to a multiple of 8.
struct Dirent {
  uint64_t ino;
  uint64_t off;
  uint32_t namelen;
  uint32_t type;  // as d_type of readdir(3): the file type bits of a mode, shifted down by 12
};
static_assert(sizeof(Dirent) == 24);

// The same for READDIRPLUS.
struct DirentPlus {
  EntryOut entry;
  Dirent dirent;
};
static_assert(sizeof(DirentPlus) == 152);

// GETXATTR (the name follows) and LISTXATTR.
struct GetxattrIn {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(GetxattrIn) == 8);

struct GetxattrOut {
  uint32_t size;
  uint32_t padding;
};
static_assert(sizeof(GetxattrOut) == 8);

struct LseekIn {
  uint64_t fh;
  uint64_t offset;
  uint32_t whence;
  uint32_t padding;
};
static_assert(sizeof(LseekIn) == 24);

struct LseekOut {
  uint64_t offset;
};
static_assert(sizeof(LseekOut) == 8);

struct IoctlIn {
  uint64_t fh;
  uint32_t flags;
  uint32_t cmd;
  uint64_t arg;
  uint32_t in_size;
  uint32_t out_size;  // room for what follows IoctlOut
};
static_assert(sizeof(IoctlIn) == 32);

struct IoctlOut {
  int32_t result;
  uint32_t flags;
  uint32_t in_iovs;
  uint32_t out_iovs;
};
static_assert(sizeof(IoctlOut) == 16);

struct StatfsOut {
  uint64_t blocks;
  uint64_t bfree;
  uint64_t bavail;
  uint64_t files;
  uint64_t ffree;
  uint32_t bsize;
  uint32_t namelen;
  uint32_t frsize;
  uint32_t padding;
  uint32_t spare[6];
};
static_assert(sizeof(StatfsOut) == 80);

struct InterruptIn {
  uint64_t unique;  // of the request that nobody waits for any more
};
static_assert(sizeof(InterruptIn) == 8);

// Records of READDIR and READDIRPLUS begin at multiples of this.
inline constexpr size_t kRecordAlignment = 8;
constexpr size_t record_bytes(size_t head_bytes, size_t name_bytes) {
  return (head_bytes + name_bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

}  // namespace castore::fuse::abi
