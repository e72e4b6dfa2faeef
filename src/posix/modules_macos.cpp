// Modules of macOS; modules.cpp has those of ELF systems.
#if defined(__APPLE__)

#include <dlfcn.h>
#include <mach-o/dyld.h>
#include <mach-o/loader.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include <multiproc/errors.hpp>

#include "code_hash.hpp"
#include "descriptors.hpp"
#include "per_process.hpp"

namespace multiproc::os {

namespace {

using namespace posix;

using Header = mach_header_64;

template <class Visit>
void for_each_command(const Header* header, Visit visit) {
    const auto* next = reinterpret_cast<const unsigned char*>(header + 1);
    for (std::uint32_t i = 0; i < header->ncmds; ++i) {
        load_command command;
        std::memcpy(&command, next, sizeof command);
        visit(command.cmd, next);
        next += command.cmdsize;
    }
}

// Calls visit(begin, size, protection) for each segment in memory.
template <class Visit>
void for_each_segment(const Header* header, Visit visit) {
    std::uintptr_t text = 0;
    for_each_command(header, [&](std::uint32_t kind, const unsigned char* bytes) {
        if (kind != LC_SEGMENT_64) return;
        segment_command_64 segment;
        std::memcpy(&segment, bytes, sizeof segment);
        if (std::strncmp(segment.segname, SEG_TEXT, sizeof segment.segname) == 0) text = segment.vmaddr;
    });
    const std::uintptr_t slide = reinterpret_cast<std::uintptr_t>(header) - text;  // __TEXT begins with the header
    for_each_command(header, [&](std::uint32_t kind, const unsigned char* bytes) {
        if (kind != LC_SEGMENT_64) return;
        segment_command_64 segment;
        std::memcpy(&segment, bytes, sizeof segment);
        visit(slide + segment.vmaddr, segment.vmsize, segment.initprot);
    });
}

std::string build_id_of(const Header* header) {
    std::string id;
    for_each_command(header, [&](std::uint32_t kind, const unsigned char* bytes) {
        if (kind != LC_UUID) return;
        uuid_command command;
        std::memcpy(&command, bytes, sizeof command);
        id = "id:" + to_hex(command.uuid, sizeof command.uuid);
    });
    if (!id.empty()) return id;
    CodeHash hash;
    for_each_segment(header, [&](std::uintptr_t begin, std::uint64_t size, int protection) {
        if ((protection & VM_PROT_EXECUTE) == 0 || (protection & VM_PROT_WRITE) != 0) return;
        hash.add(reinterpret_cast<const unsigned char*>(begin), size);
    });
    return "code:" + hash.text();
}

std::string real_path(const std::string& path) {
    char* const resolved = ::realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return path;
    std::string result = resolved;
    std::free(resolved);
    return result;
}

std::string own_path() {
    std::uint32_t size = 0;
    ::_NSGetExecutablePath(nullptr, &size);
    std::string path(size, '\0');
    if (::_NSGetExecutablePath(path.data(), &size) != 0) return {};
    path.resize(std::strlen(path.c_str()));
    return real_path(path);
}

const Header* header_of(const void* address) {
    Dl_info info{};
    if (address == nullptr || ::dladdr(address, &info) == 0 || info.dli_fbase == nullptr) return nullptr;
    const auto* const header = static_cast<const Header*>(info.dli_fbase);
    return header->magic == MH_MAGIC_64 ? header : nullptr;
}

// The identities of modules by path and place.
struct Cache {
    std::mutex mutex;
    std::map<std::string, std::string> build_ids;
};

Module describe(const Header* header) {
    Cache& known = of_this_process<Cache>();
    Module module;
    module.base = reinterpret_cast<std::uintptr_t>(header);
    module.is_executable = header->filetype == MH_EXECUTE;
    Dl_info info{};
    if (module.is_executable) {
        module.path = own_path();
    } else if (::dladdr(header, &info) != 0 && info.dli_fname != nullptr) {
        module.path = real_path(info.dli_fname);
    }
    // By the place too: a file can be replaced between two loads.
    const std::string key = module.path + '@' + std::to_string(module.base);
    const std::lock_guard lock(known.mutex);
    const auto found = known.build_ids.find(key);
    module.build_id = found != known.build_ids.end() ? found->second
                                                     : known.build_ids.emplace(key, build_id_of(header)).first->second;
    return module;
}

}  // namespace

std::optional<Module> module_of(const void* address) {
    const Header* const header = header_of(address);
    if (header == nullptr) return std::nullopt;
    return describe(header);
}

Module main_module() {
    for (std::uint32_t i = 0; i < ::_dyld_image_count(); ++i) {
        const auto* const header = reinterpret_cast<const Header*>(::_dyld_get_image_header(i));
        if (header != nullptr && header->filetype == MH_EXECUTE) return describe(header);
    }
    throw Error("this program's executable is not among the loaded modules");
}

void remember_modules() {}  // there is no sandbox that would keep it from looking later

Module load_module(const std::string& path) {
    struct stat wanted {};
    if (::stat(path.c_str(), &wanted) != 0) fail(("loading " + path).c_str());
    const auto is_wanted = [&](const char* name) {
        struct stat facts {};
        return name != nullptr && ::stat(name, &facts) == 0 && facts.st_dev == wanted.st_dev &&
               facts.st_ino == wanted.st_ino;
    };
    const auto find = [&]() -> const Header* {
        for (std::uint32_t i = ::_dyld_image_count(); i-- != 0;) {
            if (is_wanted(::_dyld_get_image_name(i)))
                return reinterpret_cast<const Header*>(::_dyld_get_image_header(i));
        }
        return nullptr;
    };
    if (const Header* const loaded = find()) return describe(loaded);
    if (::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {  // stays loaded: its code may run from now on
        const char* const text = ::dlerror();
        throw Error("cannot load " + path + ": " + (text == nullptr ? "unknown error" : text));
    }
    if (const Header* const loaded = find()) return describe(loaded);
    throw Error("cannot find " + path + " in memory");
}

bool is_code(const void* address) {
    const Header* const header = header_of(address);
    if (header == nullptr) return false;
    const auto place = reinterpret_cast<std::uintptr_t>(address);
    bool result = false;
    for_each_segment(header, [&](std::uintptr_t begin, std::uint64_t size, int protection) {
        if (place >= begin && place - begin < size) result = (protection & VM_PROT_EXECUTE) != 0;
    });
    return result;
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
