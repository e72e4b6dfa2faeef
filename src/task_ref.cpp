#include "task_ref.hpp"

#include <mutex>
#include <optional>

#include <multiproc/codec.hpp>
#include <multiproc/errors.hpp>

#include "os.hpp"
#include "per_process.hpp"
#include "reentry.hpp"

namespace multiproc {
namespace {

using detail::TaskDescriptor;
using detail::TaskTarget;

struct ModuleName {
    std::string path;
    std::string build_id;
};

// The modules of a task that are not the executable.
struct TaskModules {
    std::optional<ModuleName> descriptor;
    std::optional<ModuleName> function;
};

std::uint64_t hash_of(const char* text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (; *text != '\0'; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 0x100000001b3;
    return hash;
}

std::string name_of(const TaskTarget& target, const os::Module* function_module, std::uint64_t offset) {
    std::string type = os::demangle(target.descriptor->callable().name());
    if (function_module == nullptr) return type;
    std::string symbol = os::symbol_of(target.function);
    if (!symbol.empty()) return symbol;
    char hex[2 + 16 + 1];
    std::snprintf(hex, sizeof hex, "0x%llx", static_cast<unsigned long long>(offset));
    return type + " at " + function_module->path.substr(function_module->path.find_last_of("/\\") + 1) + "+" + hex;
}

os::Module locate(const void* address, const TaskTarget& target) {
    std::optional<os::Module> module = os::module_of(address);
    if (!module) {
        throw BootstrapError("multiproc: the task " + os::demangle(target.descriptor->callable().name()) +
                             " lies in no module that another process could load (code made at run time?); pass a "
                             "function of the program or of a shared library");
    }
    if (module->is_executable && has_foreign_executable()) {
        throw BootstrapError(
            "multiproc: the task " + os::demangle(target.descriptor->callable().name()) +
            " lies in this program's executable, but set_executable() names another program for the "
            "workers, which cannot reach it; put the task into the shared library that uses multiproc");
    }
    return *std::move(module);
}

std::optional<ModuleName> name_unless_executable(const os::Module& module) {
    if (module.is_executable) return std::nullopt;
    return ModuleName{module.path, module.build_id};
}

TaskRef make_ref(const TaskTarget& target) {
    TaskRef ref;
    ref.target = target;
    const os::Module module = locate(target.descriptor, target);
    TaskModules modules{name_unless_executable(module), std::nullopt};
    ref.place.descriptor = reinterpret_cast<std::uintptr_t>(target.descriptor) - module.base;
    ref.place.signature = hash_of(target.descriptor->signature().name());
    if (target.function == nullptr) {
        ref.name = name_of(target, nullptr, 0);
    } else {
        const os::Module function_module = locate(target.function, target);
        modules.function = name_unless_executable(function_module);
        ref.place.function = reinterpret_cast<std::uintptr_t>(target.function) - function_module.base;
        ref.name = name_of(target, &function_module, ref.place.function);
    }
    if (modules.descriptor || modules.function) {
        HeapBuffer out;
        encode(out, modules);
        ref.modules.assign(reinterpret_cast<const char*>(out.bytes().data()), out.size());
    }
    return ref;
}

struct TargetHash {
    std::size_t operator()(const TaskTarget& target) const noexcept {
        return std::hash<const void*>{}(target.descriptor) * 31 + std::hash<const void*>{}(target.function);
    }
};
struct TargetEqual {
    bool operator()(const TaskTarget& a, const TaskTarget& b) const noexcept {
        return a.descriptor == b.descriptor && a.function == b.function;
    }
};

struct KnownTasks {
    std::mutex mutex;
    std::unordered_map<TaskTarget, TaskRef, TargetHash, TargetEqual> refs;  // its nodes stay where they are
};

os::Module module_named(const std::optional<ModuleName>& name) {
    if (!name) return os::main_module();
    os::Module module = os::load_module(name->path);
    if (module.build_id != name->build_id) {
        throw BootstrapError("multiproc: " + name->path +
                             " is another build here than in the process that sent the task; it was replaced while the "
                             "program runs, so restart the program");
    }
    return module;
}

// The address at `offset` of a module, refused unless it lies in that very module.
const void* address_in(const os::Module& module, std::uint64_t offset) {
    const auto* address = reinterpret_cast<const void*>(module.base + static_cast<std::uintptr_t>(offset));
    const std::optional<os::Module> owner = os::module_of(address);
    if (!owner || owner->base != module.base)
        throw BootstrapError("multiproc: a task refers to a place outside of " + module.path);
    return address;
}

// Whether a descriptor lies there: in data, all of it in the module, and marked as one. Null if not.
const TaskDescriptor* descriptor_in(const os::Module& module, std::uint64_t offset) {
    const auto* const begin = static_cast<const std::byte*>(address_in(module, offset));
    if (reinterpret_cast<std::uintptr_t>(begin) % alignof(TaskDescriptor) != 0 || os::is_code(begin)) return nullptr;
    const std::optional<os::Module> end = os::module_of(begin + sizeof(TaskDescriptor) - 1);
    if (!end || end->base != module.base) return nullptr;
    const auto* const descriptor = reinterpret_cast<const TaskDescriptor*>(begin);
    return descriptor->mark == TaskDescriptor::is_descriptor ? descriptor : nullptr;
}

}  // namespace

namespace detail {
void require_function(const void* function) {
    if (function == nullptr)
        throw std::invalid_argument("multiproc: the function pointer is empty; pass a function to run");
}
}  // namespace detail

const TaskRef& refer(const TaskTarget& target) {
    auto& known = of_this_process<KnownTasks>();
    const std::lock_guard lock(known.mutex);
    const auto found = known.refs.find(target);
    if (found != known.refs.end()) return found->second;
    TaskRef ref = make_ref(target);
    ref.number = static_cast<std::uint32_t>(known.refs.size());
    return known.refs.emplace(target, std::move(ref)).first->second;
}

ResolvedTask resolve(const TaskPlace& place, const std::string& modules) {
    TaskModules names;
    if (!modules.empty()) {
        InputBuffer in(std::as_bytes(std::span(modules.data(), modules.size())));
        names = decode<TaskModules>(in);
    }
    ResolvedTask task;
    const os::Module module = module_named(names.descriptor);
    task.descriptor = descriptor_in(module, place.descriptor);
    if (task.descriptor == nullptr || hash_of(task.descriptor->signature().name()) != place.signature)
        throw BootstrapError("multiproc: " + module.path + " has no task of this signature at that place");
    if (place.function == 0) return task;
    const os::Module function_module = module_named(names.function);
    task.function = address_in(function_module, place.function);
    if (!os::is_code(task.function)) {
        throw BootstrapError("multiproc: a task refers to a place in " + function_module.path + " that is no code");
    }
    return task;
}

std::string ResolvedTask::name() const {
    const std::optional<os::Module> module = function == nullptr ? std::nullopt : os::module_of(function);
    if (!module) return name_of({descriptor, nullptr}, nullptr, 0);
    return name_of({descriptor, function}, &*module, reinterpret_cast<std::uintptr_t>(function) - module->base);
}

}  // namespace multiproc
