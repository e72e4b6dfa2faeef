// Just enough JSON to write the results down.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// A value, as its text.
class Json {
public:
    Json(const char* text) : Json(std::string_view(text)) {}         // NOLINT(google-explicit-constructor)
    Json(const std::string& text) : Json(std::string_view(text)) {}  // NOLINT(google-explicit-constructor)
    Json(std::string_view text);                                     // NOLINT(google-explicit-constructor)
    Json(double number);                                             // NOLINT(google-explicit-constructor)
    Json(bool value) : text_(value ? "true" : "false") {}            // NOLINT(google-explicit-constructor)
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Json(T number) : text_(std::to_string(number)) {}  // NOLINT(google-explicit-constructor)

    static Json array(const std::vector<Json>& items);
    static Json numbers(const std::vector<double>& numbers);
    static Json object(const std::vector<std::pair<std::string, Json>>& members);

    const std::string& text() const { return text_; }

private:
    Json() = default;
    std::string text_;
};

/// Writes it, with what this machine is, as {"machine": ..., `name`: `value`}. Throws std::runtime_error.
void write_json(const std::string& path, const std::string& name, const Json& value);

/// Processor, kernel, compiler, load: what one must know to compare figures.
Json describe_machine();

/// The system's load average over the last minute.
double load_average();

}  // namespace bench
