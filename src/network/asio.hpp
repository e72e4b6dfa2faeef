// The parts of Boost.Asio that are used, included in one way everywhere. No option that changes what Asio's types look
// like is set: the program may use Asio as well.
#pragma once

#include <boost/asio/detail/socket_types.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>

namespace multiproc::network {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

}  // namespace multiproc::network
