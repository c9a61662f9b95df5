//! Free ports for several stacks side by side, in one process or in many. Needs the cache
//! folder. Must not hand out a port twice while its reservation lives.
//!
//! Asking the system for port 0 and closing the socket again gives the port away before the server
//! takes it. So each port has a lock file, which the system unlocks when its holder ends, however
//! it ends. The range lies below the one from which Linux takes the ports of outgoing connections.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{Error, toolchain};

const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on 127.0.0.1 that is ours until this value is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free port.
    pub fn reserve() -> Result<Self, Error> {
        // Not the temporary folder: there it would belong to whichever user came first.
        let folder = toolchain::cache()?.join("ports");
        fs::create_dir_all(&folder).map_err(Error::io(format!("creating {}", folder.display())))?;
        // Processes start at different places, so that they seldom meet.
        let start = u16::try_from(process::id() % u32::from(COUNT)).unwrap_or(0);
        let mut refused = None;
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + (start + step % COUNT) % COUNT;
            let path = folder.join(number.to_string());
            let lock = match File::create(&path) {
                Ok(lock) => lock,
                Err(error) => {
                    refused = Some(Error::io(format!("creating {}", path.display()))(error));
                    continue;
                }
            };
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(refused.unwrap_or_else(|| Error::Other(format!("no free port between {FIRST} and {}", FIRST + COUNT))))
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_reservations_share_a_port() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), ports.len());
    }
}
