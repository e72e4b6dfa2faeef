// What identifies a module's code is read from its image in memory, because the file at its path may be another one by
// now. A linker's debug record has a GUID that is new with each link (or, in reproducible builds, a hash of the
// output). Without one, the code itself is hashed; the words that the loader changed when it moved the image are left
// out.
#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <span>
#include <system_error>

#include "win32/api.hpp"

namespace multiproc::os {

namespace {

// A loaded PE image. The loader has checked it, so its tables can be followed as they are.
class Image {
public:
    explicit Image(HMODULE module) noexcept
        : base_(reinterpret_cast<const std::byte*>(module)),
          headers_(at<IMAGE_NT_HEADERS>(static_cast<DWORD>(at<IMAGE_DOS_HEADER>(0)->e_lfanew))) {}

    const IMAGE_NT_HEADERS& headers() const noexcept { return *headers_; }
    std::span<const IMAGE_SECTION_HEADER> sections() const noexcept {
        return {IMAGE_FIRST_SECTION(headers_), headers_->FileHeader.NumberOfSections};
    }
    std::span<const std::byte> bytes(DWORD offset, DWORD size) const noexcept { return {base_ + offset, size}; }
    template <class T>
    const T* at(DWORD offset) const noexcept {
        return reinterpret_cast<const T*>(base_ + offset);
    }
    IMAGE_DATA_DIRECTORY directory(DWORD index) const noexcept {
        if (index >= headers_->OptionalHeader.NumberOfRvaAndSizes) return {};
        return headers_->OptionalHeader.DataDirectory[index];
    }
    DWORD offset_of(const void* address) const noexcept {
        return static_cast<DWORD>(static_cast<const std::byte*>(address) - base_);
    }

private:
    const std::byte* base_;
    const IMAGE_NT_HEADERS* headers_;
};

constexpr bool is_executable(const IMAGE_SECTION_HEADER& section) noexcept {
    return (section.Characteristics & IMAGE_SCN_MEM_EXECUTE) != 0;
}

class Hash {
public:
    void add(std::span<const std::byte> bytes) noexcept {
        while (bytes.size() >= sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data(), sizeof word);
            add(word);
            bytes = bytes.subspan(sizeof word);
        }
        std::uint64_t rest = bytes.size();
        for (const std::byte byte : bytes) rest = rest << 8 | std::to_integer<std::uint64_t>(byte);
        add(rest);
    }
    void add(std::uint64_t word) noexcept {
        a_ = (a_ ^ word) * 0x9E3779B97F4A7C15U;
        a_ ^= a_ >> 29;
        b_ = (b_ + word) * 0xD6E8FEB86659FD93U;
        b_ ^= b_ >> 32;
    }
    std::string text() const {
        std::string result;
        for (const std::uint64_t half : {mix(a_, b_), mix(b_, ~a_)}) {
            for (int shift = 60; shift >= 0; shift -= 4) result += "0123456789abcdef"[half >> shift & 0xF];
        }
        return result;
    }

private:
    std::uint64_t a_ = 0x243F6A8885A308D3U;  // the digits of pi, as good as any
    std::uint64_t b_ = 0x13198A2E03707344U;
};

// The offsets of the words that the loader adjusts, and their sizes.
std::map<DWORD, DWORD> relocated_words(const Image& image) {
    std::map<DWORD, DWORD> words;
    const IMAGE_DATA_DIRECTORY table = image.directory(IMAGE_DIRECTORY_ENTRY_BASERELOC);
    for (DWORD position = 0; position + sizeof(IMAGE_BASE_RELOCATION) <= table.Size;) {
        const auto* const block = image.at<IMAGE_BASE_RELOCATION>(table.VirtualAddress + position);
        if (block->SizeOfBlock < sizeof *block) break;
        const auto* const entries = image.at<WORD>(table.VirtualAddress + position + DWORD{sizeof *block});
        const std::size_t count = (block->SizeOfBlock - sizeof *block) / sizeof(WORD);
        for (std::size_t i = 0; i < count; ++i) {
            const DWORD offset = block->VirtualAddress + (entries[i] & 0xFFFU);
            const DWORD type = DWORD{entries[i]} >> 12;
            if (type == IMAGE_REL_BASED_DIR64) words.emplace(offset, 8);
            if (type == IMAGE_REL_BASED_HIGHLOW) words.emplace(offset, 4);
        }
        position += block->SizeOfBlock;
    }
    return words;
}

void add_code(Hash& hash, const Image& image) {
    const std::map<DWORD, DWORD> words = relocated_words(image);
    for (const IMAGE_SECTION_HEADER& section : image.sections()) {
        if (!is_executable(section)) continue;
        DWORD position = section.VirtualAddress;
        const DWORD end = position + section.Misc.VirtualSize;
        for (auto word = words.lower_bound(position); word != words.end() && word->first < end; ++word) {
            if (word->first > position) hash.add(image.bytes(position, word->first - position));
            position = std::min(end, word->first + word->second);
        }
        hash.add(image.bytes(position, end - position));
    }
}

// The linker's record of the matching debug information ("RSDS", a GUID and an age); false if there is none.
bool add_debug_record(Hash& hash, const Image& image) {
    const IMAGE_DATA_DIRECTORY table = image.directory(IMAGE_DIRECTORY_ENTRY_DEBUG);
    bool found = false;
    for (DWORD position = 0; position + sizeof(IMAGE_DEBUG_DIRECTORY) <= table.Size;
         position += DWORD{sizeof(IMAGE_DEBUG_DIRECTORY)}) {
        const auto* const entry = image.at<IMAGE_DEBUG_DIRECTORY>(table.VirtualAddress + position);
        constexpr DWORD record_size = 24;
        if (entry->Type != IMAGE_DEBUG_TYPE_CODEVIEW || entry->AddressOfRawData == 0 ||
            entry->SizeOfData < record_size) {
            continue;
        }
        const std::span<const std::byte> record = image.bytes(entry->AddressOfRawData, record_size);
        const std::span<const std::byte> guid = record.subspan(4, 16);
        if (std::memcmp(record.data(), "RSDS", 4) != 0 ||
            std::all_of(guid.begin(), guid.end(), [](std::byte byte) { return byte == std::byte{0}; })) {
            continue;
        }
        hash.add(record);
        found = true;
    }
    return found;
}

std::string build_id_of(const Image& image) {
    const IMAGE_OPTIONAL_HEADER& optional = image.headers().OptionalHeader;  // but for ImageBase, which the loader sets
    Hash hash;
    hash.add(std::uint64_t{optional.SizeOfCode});
    hash.add(std::uint64_t{optional.SizeOfImage});
    hash.add(std::uint64_t{optional.AddressOfEntryPoint});
    for (const IMAGE_SECTION_HEADER& section : image.sections()) {
        hash.add(std::as_bytes(std::span(section.Name)));
        hash.add(std::uint64_t{section.VirtualAddress} << 32 | section.Misc.VirtualSize);
        hash.add(std::uint64_t{section.Characteristics});
    }
    if (!add_debug_record(hash, image)) add_code(hash, image);
    return hash.text();
}

std::wstring file_of(HMODULE module) {
    std::wstring path(MAX_PATH, L'\0');
    for (;;) {
        const DWORD length = GetModuleFileNameW(module, path.data(), static_cast<DWORD>(path.size()));
        if (length == 0) throw_last_error("cannot find the file of a module");
        if (length < path.size()) {  // else it was cut short
            path.resize(length);
            return path;
        }
        path.resize(path.size() * 2);
    }
}

HMODULE module_handle(const void* address) noexcept {
    if (address == nullptr) return nullptr;  // which GetModuleHandleEx takes for the executable
    HMODULE module = nullptr;
    constexpr DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (GetModuleHandleExW(flags, static_cast<LPCWSTR>(address), &module) == 0) return nullptr;
    return module;
}

// What is known of one base address. Another library may be loaded there after the first was unloaded.
struct Known {
    Module module;
    DWORD size = 0;
    DWORD timestamp = 0;
    DWORD checksum = 0;
};

Module describe(HMODULE handle) {
    static std::mutex& mutex = *new std::mutex;  // never destroyed, as modules are asked for until the very end
    static std::map<HMODULE, Known>& cache = *new std::map<HMODULE, Known>;
    const Image image(handle);
    const DWORD size = image.headers().OptionalHeader.SizeOfImage;
    const DWORD timestamp = image.headers().FileHeader.TimeDateStamp;
    const DWORD checksum = image.headers().OptionalHeader.CheckSum;
    std::string path = narrow(file_of(handle));

    const std::lock_guard lock(mutex);
    Known& known = cache[handle];
    if (known.module.path != path || known.size != size || known.timestamp != timestamp || known.checksum != checksum) {
        Module module{std::move(path), reinterpret_cast<std::uintptr_t>(handle), build_id_of(image),
                      handle == GetModuleHandleW(nullptr)};
        known = Known{std::move(module), size, timestamp, checksum};
    }
    return known.module;
}

}  // namespace

std::optional<Module> module_of(const void* address) {
    const HMODULE module = module_handle(address);
    if (module == nullptr) return std::nullopt;
    return describe(module);
}

Module main_module() { return describe(GetModuleHandleW(nullptr)); }

void remember_modules() {}  // the system finds what is loaded by its path, in a sandbox too

Module load_module(const std::string& path) {
    const std::wstring wide = widen(path);
    // A full path makes the module's own directory the first place for what it needs in turn.
    const bool is_full = wide.find_first_of(L"\\/") != std::wstring::npos && wide.find(L':') != std::wstring::npos;
    const DWORD flags = is_full ? LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS : 0;
    const HMODULE module = LoadLibraryExW(wide.c_str(), nullptr, flags);
    if (module == nullptr) {
        const DWORD error = GetLastError();
        throw_system_error("cannot load " + path, error);
    }
    // The system maps the file of another program as well, but neither binds nor initialises it.
    if (module != GetModuleHandleW(nullptr) &&
        (Image(module).headers().FileHeader.Characteristics & IMAGE_FILE_DLL) == 0) {
        FreeLibrary(module);
        throw_system_error("cannot load " + path + ", which is no library", ERROR_BAD_EXE_FORMAT);
    }
    return describe(module);  // stays loaded: its functions may be called from now on
}

bool is_code(const void* address) {
    const HMODULE module = module_handle(address);
    if (module == nullptr) return false;
    const Image image(module);
    const DWORD offset = image.offset_of(address);
    return std::ranges::any_of(image.sections(), [offset](const IMAGE_SECTION_HEADER& section) {
        return is_executable(section) && offset >= section.VirtualAddress &&
               offset - section.VirtualAddress < section.Misc.VirtualSize;
    });
}

std::string executable_path() { return narrow(file_of(nullptr)); }

}  // namespace multiproc::os
