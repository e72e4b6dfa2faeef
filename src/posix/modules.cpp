// Modules of an ELF system; modules_macos.cpp has those of macOS.
#if !defined(__APPLE__)

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>

#include <multiproc/errors.hpp>

#include "code_hash.hpp"
#include "descriptors.hpp"
#include "per_process.hpp"
#include "platform.hpp"

#if defined(__linux__)
#include <sys/auxv.h>
#endif

namespace multiproc::os {

namespace {

using namespace posix;

struct Segments {
    std::uintptr_t bias = 0;
    const ElfW(Phdr) * headers = nullptr;
    std::size_t count = 0;
    std::string name;
    bool first = false;              // the executable comes first
    unsigned long long removed = 0;  // how many modules were ever unloaded

    std::uintptr_t begin_of(const ElfW(Phdr) & header) const noexcept { return bias + header.p_vaddr; }

    // The loaded segment that holds [address, address + size).
    const ElfW(Phdr) * segment_of(std::uintptr_t address, std::size_t size = 1) const noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            const ElfW(Phdr)& header = headers[i];
            if (header.p_type != PT_LOAD || address < begin_of(header)) continue;
            const std::uintptr_t offset = address - begin_of(header);
            if (offset < header.p_memsz && size <= header.p_memsz - offset) return &header;
        }
        return nullptr;
    }

    // Where the first segment lies. (The bias is 0 in an executable that cannot be moved.)
    std::uintptr_t base() const noexcept {
        std::uintptr_t lowest = std::numeric_limits<std::uintptr_t>::max();
        for (std::size_t i = 0; i < count; ++i) {
            if (headers[i].p_type == PT_LOAD) lowest = std::min(lowest, begin_of(headers[i]));
        }
        return lowest;
    }
};

// The module that `fits(segments)` accepts. The program headers stay valid as long as the module is loaded, which it is
// while somebody calls code or uses data in it.
template <class Fits>
std::optional<Segments> find_module(Fits fits) {
    struct Search {
        Fits& fits;
        std::optional<Segments> found;
        bool first = true;
    } search{fits, {}};
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* argument) -> int {
            auto& wanted = *static_cast<Search*>(argument);
            Segments segments;
            segments.bias = info->dlpi_addr;
            segments.headers = info->dlpi_phdr;
            segments.count = info->dlpi_phnum;
            segments.first = std::exchange(wanted.first, false);
            segments.removed = info->dlpi_subs;
            if (!wanted.fits(segments)) return 0;
            segments.name = info->dlpi_name == nullptr ? "" : info->dlpi_name;
            wanted.found = std::move(segments);
            return 1;
        },
        &search);
    return std::move(search.found);
}

std::optional<Segments> segments_at(std::uintptr_t address) {
    return find_module([&](const Segments& candidate) { return candidate.segment_of(address) != nullptr; });
}

std::string build_id_in_notes(const Segments& module) {
    for (std::size_t i = 0; i < module.count; ++i) {
        const ElfW(Phdr)& header = module.headers[i];
        const std::uintptr_t begin = module.begin_of(header);
        if (header.p_type != PT_NOTE || module.segment_of(begin, header.p_memsz) == nullptr) continue;
        const auto* next = reinterpret_cast<const unsigned char*>(begin);
        std::size_t left = header.p_memsz;
        const auto padded = [](std::size_t size) { return (size + 3) & ~std::size_t(3); };
        while (left >= sizeof(ElfW(Nhdr))) {
            ElfW(Nhdr) note;
            std::memcpy(&note, next, sizeof note);
            const std::size_t name = padded(note.n_namesz);
            const std::size_t size = sizeof note + name + padded(note.n_descsz);
            if (size > left) break;
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
                std::memcmp(next + sizeof note, "GNU", 4) == 0 && note.n_descsz != 0) {
                return "id:" + to_hex(next + sizeof note + name, note.n_descsz);
            }
            next += size;
            left -= size;
        }
    }
    return {};
}

std::string build_id_of(const Segments& module) {
    std::string id = build_id_in_notes(module);
    if (!id.empty()) return id;
    CodeHash hash;
    for (std::size_t i = 0; i < module.count; ++i) {
        const ElfW(Phdr)& header = module.headers[i];
        // Code that can be written, or not be read, is nothing to compare.
        if (header.p_type != PT_LOAD || (header.p_flags & (PF_X | PF_W | PF_R)) != (PF_X | PF_R)) continue;
        hash.add(reinterpret_cast<const unsigned char*>(module.begin_of(header)), header.p_filesz);
    }
    return "code:" + hash.text();
}

#if defined(__linux__)
// The path given to execve, taken before the program can change its directory.
const std::string path_at_start = [] {
    const auto* const given = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
    if (given == nullptr) return std::string();
    std::error_code error;
    const auto path = std::filesystem::absolute(given, error);
    return error ? std::string() : path.string();
}();
#endif

// Also of an executable that was removed.
std::string own_path() {
#if defined(__linux__)
#if MULTIPROC_LINUX_CALLS
    std::string path(4096, '\0');
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    if (size > 0 && static_cast<std::size_t>(size) < path.size()) {
        path.resize(static_cast<std::size_t>(size));
        constexpr std::string_view removed = " (deleted)";
        if (path.size() > removed.size() && path.compare(path.size() - removed.size(), removed.size(), removed) == 0 &&
            ::access(path.c_str(), F_OK) != 0) {
            path.resize(path.size() - removed.size());
        }
        return path;
    }
#endif
    std::error_code error;
    const auto canonical = std::filesystem::canonical(path_at_start, error);
    return error ? path_at_start : canonical.string();
#else
    std::error_code error;
    return std::filesystem::read_symlink("/proc/curproc/file", error).string();
#endif
}

std::string path_of(const Segments& module) {
    if (module.first || module.name.empty()) return own_path();
    std::error_code error;
    const auto path = std::filesystem::canonical(module.name, error);
    return error ? module.name : path.string();
}

// What was found out about modules before, by their base.
struct Cache {
    std::mutex mutex;
    unsigned long long removed = 0;
    std::map<std::uintptr_t, Module> modules;
};

Module describe(const Segments& segments) {
    Cache& known = of_this_process<Cache>();
    const std::uintptr_t base = segments.base();
    {
        const std::lock_guard lock(known.mutex);
        // Another module may lie now where an unloaded one lay.
        if (known.removed != segments.removed) known.modules.clear();
        known.removed = segments.removed;
        const auto found = known.modules.find(base);
        if (found != known.modules.end()) return found->second;
    }
    Module module;
    module.path = path_of(segments);
    module.base = base;
    module.build_id = build_id_of(segments);
    module.is_executable = segments.first;
    const std::lock_guard lock(known.mutex);
    if (known.removed == segments.removed) known.modules.emplace(base, module);
    return module;
}

}  // namespace

namespace {

// What is loaded and was looked at, by its path.
std::optional<Module> known_module(const std::string& path) {
    const Module main = main_module();
    if (main.path == path) return main;
    std::uintptr_t base = 0;
    {
        Cache& known = of_this_process<Cache>();
        const std::lock_guard lock(known.mutex);
        const auto found =
            std::ranges::find_if(known.modules, [&](const auto& entry) { return entry.second.path == path; });
        if (found == known.modules.end()) return std::nullopt;
        base = found->first;
    }
    // It may have been unloaded since; then the cache is emptied by this look.
    std::optional<Module> module = module_of(reinterpret_cast<const void*>(base));
    return module && module->path == path ? std::move(module) : std::nullopt;
}

}  // namespace

std::optional<Module> module_of(const void* address) {
    const auto segments = segments_at(reinterpret_cast<std::uintptr_t>(address));
    if (!segments) return std::nullopt;
    return segments->first ? main_module() : describe(*segments);
}

namespace {

// Found once: what is true of the executable is true in every copy of the process.
struct MainModule {
    Module module = describe(find_module([](const Segments& candidate) { return candidate.first; }).value());
};

}  // namespace

Module main_module() { return of_this_program<MainModule>().module; }

void remember_modules() {
    std::vector<Segments> all;
    find_module([&](const Segments& candidate) {
        all.push_back(candidate);
        return false;
    });
    for (const Segments& segments : all) module_of(reinterpret_cast<const void*>(segments.base()));
}

Module load_module(const std::string& path) {
    struct stat wanted {};
    if (::stat(path.c_str(), &wanted) != 0) {
        const int error = errno;
        // In a sandbox no file can be looked at; what is loaded was looked at before.
        if (error == EACCES)
            if (const std::optional<Module> known = known_module(path)) return *known;
        fail(("loading " + path).c_str(), error);
    }
    const auto is_wanted = [&](const std::string& name) {
        struct stat facts {};
        return ::stat(name.c_str(), &facts) == 0 && facts.st_dev == wanted.st_dev && facts.st_ino == wanted.st_ino;
    };
    // An executable cannot be loaded as a library, but it is there already.
    const Module main = main_module();
    if (is_wanted(main.path)) return main;
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays loaded: its code may run from now on
    if (library == nullptr) {
        const char* const text = ::dlerror();
        throw Error("cannot load " + path + ": " + (text == nullptr ? "unknown error" : text));
    }
    link_map* map = nullptr;
    if (::dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr)
        throw Error("cannot find " + path + " in memory");
    const auto module = module_of(map->l_ld);
    if (!module) throw Error("cannot find " + path + " in memory");
    return *module;
}

bool is_code(const void* address) {
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    const auto module = segments_at(place);
    if (!module) return false;
    const ElfW(Phdr)* const segment = module->segment_of(place);
    return segment != nullptr && (segment->p_flags & PF_X) != 0;
}

std::string executable_path() {
    std::string path = own_path();
    if (path.empty() || ::access(path.c_str(), F_OK) != 0) {
        fail(("this program's executable " + path).c_str(), path.empty() ? ENOENT : errno);
    }
    return path;
}

}  // namespace multiproc::os

#endif
