//! Behaviour of the stand-in cloud, seen through its public API: the core with a virtual clock, and the HTTP shell
//! with a raw client. No test asserts how long something took.
// `cfg(test)` is always true here; it lets clippy treat the functions that the tests share as test code.

#[cfg(test)]
mod client;
#[cfg(test)]
mod create;
#[cfg(test)]
mod door;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod listing;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod process;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod signature;
#[cfg(test)]
mod terminate;
