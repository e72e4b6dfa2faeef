// The methods of what a manager makes that is no template: in one place, so that no user compiles them.
#pragma once

#include <multiproc/detail/served_sync.hpp>
#include <multiproc/namespace_proxy.hpp>

namespace multiproc {

template <>
inline constexpr auto methods<detail::ServedLock> =
    method_list(concurrent_method<&detail::ServedLock::acquire>("acquire"),
                concurrent_method<&detail::ServedLock::release>("release"),
                concurrent_method<&detail::ServedLock::locked>("locked"));
template <>
inline constexpr auto methods<detail::ServedSemaphore> =
    method_list(concurrent_method<&detail::ServedSemaphore::acquire>("acquire"),
                concurrent_method<&detail::ServedSemaphore::release>("release"),
                concurrent_method<&detail::ServedSemaphore::value>("value"));
template <>
inline constexpr auto methods<detail::ServedEvent> = method_list(
    concurrent_method<&detail::ServedEvent::is_set>("is_set"), concurrent_method<&detail::ServedEvent::set>("set"),
    concurrent_method<&detail::ServedEvent::clear>("clear"), concurrent_method<&detail::ServedEvent::wait>("wait"));
template <>
inline constexpr auto methods<detail::ServedCondition> =
    method_list(concurrent_method<&detail::ServedCondition::acquire>("acquire"),
                concurrent_method<&detail::ServedCondition::release>("release"),
                concurrent_method<&detail::ServedCondition::wait>("wait"),
                concurrent_method<&detail::ServedCondition::notify>("notify"));
template <>
inline constexpr auto methods<detail::ServedBarrier> = method_list(
    concurrent_method<&detail::ServedBarrier::wait>("wait"), concurrent_method<&detail::ServedBarrier::abort>("abort"),
    concurrent_method<&detail::ServedBarrier::reset>("reset"),
    concurrent_method<&detail::ServedBarrier::parties>("parties"),
    concurrent_method<&detail::ServedBarrier::waiting>("waiting"),
    concurrent_method<&detail::ServedBarrier::is_broken>("is_broken"));
template <>
inline constexpr auto methods<detail::ServedNamespace> =
    method_list(method<&detail::ServedNamespace::get>("get"), method<&detail::ServedNamespace::set>("set"),
                method<&detail::ServedNamespace::contains>("contains"),
                method<&detail::ServedNamespace::erase>("erase"), method<&detail::ServedNamespace::items>("items"));

}  // namespace multiproc
