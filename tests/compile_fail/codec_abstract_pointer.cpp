// EXPECT: multiproc: a smart pointer to an abstract class cannot travel
#include <multiproc/codec.hpp>
#include <memory>

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

void use(multiproc::OutputBuffer& out, const std::shared_ptr<Shape>& value) { multiproc::encode(out, value); }
