// The names of types as every compiler can agree on them: programs on different machines compare what they mean by them.
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <multiproc/proxy.hpp>

#include "os.hpp"

namespace multiproc::detail {
namespace {

bool is_part_of_name(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Where it stands as a word of its own.
void replace_words(std::string& text, std::string_view word, std::string_view other) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
        const std::size_t end = at + word.size();
        const bool is_word = (at == 0 || !is_part_of_name(text[at - 1]) || !is_part_of_name(word.front())) &&
                             (end == text.size() || !is_part_of_name(text[end]) || !is_part_of_name(word.back()));
        if (is_word) {
            text.replace(at, word.size(), other);
            at += other.size();
        } else {
            at = end;
        }
    }
}

constexpr const char* signed_of_size(std::size_t size) noexcept { return size == 8 ? "int64" : "int32"; }
constexpr const char* unsigned_of_size(std::size_t size) noexcept { return size == 8 ? "uint64" : "uint32"; }

}  // namespace

std::string portable_name(const std::type_info& type) {
    std::string name = os::demangle(type.name());
    // Namespaces that only tell versions of a standard library apart, and what Microsoft's compiler adds.
    for (const char* const word : {"std::__cxx11::", "std::__1::", "std::__2::"}) replace_words(name, word, "std::");
    for (const char* const word : {"class ", "struct ", "enum ", "__ptr64"}) replace_words(name, word, "");
    // Integers by their size: the same type is a `long` here and a `long long` there.
    for (const auto& [word, other] :
         {std::pair("unsigned long long", "uint64"), std::pair("unsigned __int64", "uint64"),
          std::pair("unsigned long", unsigned_of_size(sizeof(unsigned long))), std::pair("long long", "int64"),
          std::pair("__int64", "int64"), std::pair("long double", "longdouble"),
          std::pair("long", signed_of_size(sizeof(long)))})
        replace_words(name, word, other);
    std::erase(name, ' ');
    return name;
}

}  // namespace multiproc::detail
