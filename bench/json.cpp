#include "json.hpp"

#include <sys/utsname.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace bench {
namespace {

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown";
}

std::string kernel_name() {
    utsname name{};
    return ::uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown";
}

std::string compiler_name() {
#if defined(__clang__)
    return "Clang " __clang_version__;
#else
    return "GCC " __VERSION__;
#endif
}

std::string quote(std::string_view text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            quoted += escape;
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

std::string join(const std::vector<std::string>& parts, char open, char close) {
    std::string text(1, open);
    for (const std::string& part : parts) {
        if (text.size() > 1) text += ", ";
        text += part;
    }
    return text + close;
}

}  // namespace

Json::Json(std::string_view text) : text_(quote(text)) {}

Json::Json(double number) : text_("null") {
    if (!std::isfinite(number)) return;
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.9g", number);
    text_ = buffer;
}

Json Json::array(const std::vector<Json>& items) {
    std::vector<std::string> parts;
    for (const Json& item : items) parts.push_back("\n" + item.text_);
    Json json;
    json.text_ = join(parts, '[', ']');
    return json;
}

Json Json::numbers(const std::vector<double>& numbers) {
    std::vector<std::string> parts;
    for (const double number : numbers) parts.push_back(Json(number).text_);
    Json json;
    json.text_ = join(parts, '[', ']');
    return json;
}

Json Json::object(const std::vector<std::pair<std::string, Json>>& members) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : members) parts.push_back(quote(name) + ": " + value.text_);
    Json json;
    json.text_ = join(parts, '{', '}');
    return json;
}

double load_average() {
    double load = 0;
    return ::getloadavg(&load, 1) == 1 ? load : 0;
}

Json describe_machine() {
    return Json::object({{"processor", processor_name()},
                         {"processors", std::thread::hardware_concurrency()},
                         {"kernel", kernel_name()},
                         {"compiler", compiler_name()},
                         {"load", load_average()}});
}

void write_json(const std::string& path, const std::string& name, const Json& value) {
    std::ofstream file(path, std::ios::trunc);
    file << Json::object({{"machine", describe_machine()}, {name, value}}).text() << '\n';
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace bench
