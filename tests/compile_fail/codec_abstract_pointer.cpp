// EXPECT: multiproc: a smart pointer to an abstract class cannot travel
#include <memory>
#include <multiproc/codec.hpp>

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

void use(multiproc::OutputBuffer& out, const std::shared_ptr<Shape>& value) { multiproc::encode(out, value); }
