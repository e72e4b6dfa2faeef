#include <multiproc/any.hpp>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <ostream>
#include <stdexcept>

namespace multiproc {
namespace {

const char* kind_of(const Any& value) {
    if (value.is_none()) return "None";
    if (value.is<bool>()) return "bool";
    if (value.is<std::int64_t>()) return "int";
    if (value.is<double>()) return "float";
    if (value.is<std::string>()) return "str";
    return value.is<Any::List>() ? "list" : "dict";
}

bool is_whole(const Any& value) noexcept { return value.is<bool>() || value.is<std::int64_t>(); }
bool is_number(const Any& value) noexcept { return is_whole(value) || value.is<double>(); }

// A double with a whole number's value, as that.
std::optional<std::int64_t> whole_value(double value) noexcept {
    constexpr double limit = 9223372036854775808.0;  // 2^63
    if (!(value >= -limit && value < limit) || value != std::trunc(value)) return std::nullopt;
    return static_cast<std::int64_t>(value);
}

// Exact also where a whole number is none of the doubles.
std::partial_ordering compare_numbers(const Any& a, const Any& b) {
    if (is_whole(a) && is_whole(b)) return a.as<std::int64_t>() <=> b.as<std::int64_t>();
    if (!is_whole(a) && !is_whole(b)) return a.as<double>() <=> b.as<double>();
    if (!is_whole(a)) return 0 <=> compare_numbers(b, a);
    const auto whole = a.as<std::int64_t>();
    const auto other = b.as<double>();
    if (const std::optional<std::int64_t> exact = whole_value(std::floor(other))) {
        if (whole != *exact) return whole <=> *exact;
        return static_cast<double>(*exact) <=> other;
    }
    return 0.0 <=> other;  // which is beyond all whole ones, or not a number
}

bool has_item(const Any::Dict& dict, const std::pair<Any, Any>& item) {
    for (const auto& [key, value] : dict)
        if (key == item.first) return value == item.second;
    return false;
}

std::string repr_of(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    char text[32];
    // The shortest that is read back as the same; Python writes 1e16 and above, and less than 1e-4, with an exponent.
    const double size = std::fabs(value);
    const bool is_plain = value == 0 || (size >= 1e-4 && size < 1e16);
    const auto format = is_plain ? std::chars_format::fixed : std::chars_format::scientific;
    std::string result(text, std::to_chars(text, text + sizeof text, value, format).ptr);
    if (is_plain && result.find('.') == std::string::npos) result += ".0";
    return result;
}

std::string repr_of(const std::string& text) {
    const bool has_single = text.find('\'') != std::string::npos, has_double = text.find('"') != std::string::npos;
    const char quote = has_single && !has_double ? '"' : '\'';
    std::string result(1, quote);
    for (const char c : text) {
        switch (c) {
            case '\n': result += "\\n"; break;
            case '\r': result += "\\r"; break;
            case '\t': result += "\\t"; break;
            case '\\': result += "\\\\"; break;
            default:
                if (c == quote) result += '\\';
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
                    constexpr char digits[] = "0123456789abcdef";
                    result += {'\\', 'x', digits[static_cast<unsigned char>(c) >> 4], digits[c & 0xf]};
                } else {
                    result += c;
                }
        }
    }
    return result + quote;
}

std::size_t mix(std::size_t hash, std::size_t more) noexcept { return hash * 31 + more; }

}  // namespace

namespace detail {

void throw_wrong_kind(const Any& value, const char* wanted) {
    throw std::invalid_argument(std::string("multiproc: a value of the kind ") + kind_of(value) + " is no " + wanted +
                                ": " + value.repr());
}
void throw_out_of_range(const Any& value, const char* wanted) {
    throw std::out_of_range("multiproc: " + value.repr() + " does not fit " + wanted);
}
std::int64_t whole_number(std::uint64_t value) {
    if (std::in_range<std::int64_t>(value)) return static_cast<std::int64_t>(value);
    throw std::out_of_range("multiproc: " + std::to_string(value) + " is too large for an Any, which has 63 bits");
}

}  // namespace detail

bool operator==(const Any& a, const Any& b) noexcept {
    if (is_number(a) && is_number(b)) return compare_numbers(a, b) == 0;
    if (a.value_.index() != b.value_.index()) return false;
    if (a.is<std::string>()) return std::get<std::string>(a.value_) == std::get<std::string>(b.value_);
    if (a.is<Any::List>()) return std::get<Any::List>(a.value_) == std::get<Any::List>(b.value_);
    if (!a.is<Any::Dict>()) return true;
    const auto &left = std::get<Any::Dict>(a.value_), &right = std::get<Any::Dict>(b.value_);
    if (left.size() != right.size()) return false;
    for (const auto& item : left)
        if (!has_item(right, item)) return false;
    return true;
}

std::partial_ordering operator<=>(const Any& a, const Any& b) {
    if (is_number(a) && is_number(b)) return compare_numbers(a, b);
    if (a.is<std::string>() && b.is<std::string>())
        return std::get<std::string>(a.value_).compare(std::get<std::string>(b.value_)) <=> 0;
    if (!a.is<Any::List>() || !b.is<Any::List>())
        throw std::invalid_argument(std::string("multiproc: values of the kinds ") + kind_of(a) + " and " + kind_of(b) +
                                    " have no order");
    const auto &left = std::get<Any::List>(a.value_), &right = std::get<Any::List>(b.value_);
    for (std::size_t i = 0; i < left.size() && i < right.size(); ++i)
        if (!(left[i] == right[i])) return left[i] <=> right[i];
    return left.size() <=> right.size();
}

std::size_t Any::hash() const noexcept {
    if (const double* value = std::get_if<double>(&value_)) {
        if (const std::optional<std::int64_t> whole = whole_value(*value)) return std::hash<std::int64_t>{}(*whole);
        return std::hash<double>{}(*value);
    }
    if (const bool* value = std::get_if<bool>(&value_)) return std::hash<std::int64_t>{}(*value ? 1 : 0);
    if (const auto* value = std::get_if<std::int64_t>(&value_)) return std::hash<std::int64_t>{}(*value);
    if (const auto* value = std::get_if<std::string>(&value_)) return std::hash<std::string>{}(*value);
    std::size_t result = value_.index();
    if (const auto* list = std::get_if<List>(&value_)) {
        for (const Any& item : *list) result = mix(result, item.hash());
    } else if (const auto* dict = std::get_if<Dict>(&value_)) {
        for (const auto& [key, value] : *dict) result += mix(key.hash(), value.hash());  // in whatever order
    }
    return result;
}

std::string Any::repr() const {
    if (is_none()) return "None";
    if (const bool* value = std::get_if<bool>(&value_)) return *value ? "True" : "False";
    if (const auto* value = std::get_if<std::int64_t>(&value_)) return std::to_string(*value);
    if (const double* value = std::get_if<double>(&value_)) return repr_of(*value);
    if (const auto* value = std::get_if<std::string>(&value_)) return repr_of(*value);
    std::string result;
    if (const auto* list = std::get_if<List>(&value_)) {
        for (const Any& item : *list) result += (result.empty() ? "" : ", ") + item.repr();
        return "[" + result + "]";
    }
    for (const auto& [key, value] : std::get<Dict>(value_))
        result += (result.empty() ? "" : ", ") + key.repr() + ": " + value.repr();
    return "{" + result + "}";
}

std::ostream& operator<<(std::ostream& out, const Any& value) { return out << value.repr(); }

}  // namespace multiproc
