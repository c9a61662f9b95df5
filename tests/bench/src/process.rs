//! Memory and processor time of a process, from `/proc`. Needs Linux.

use std::fs;

use crate::{Error, while_doing};

/// Ticks a second in `/proc/PID/stat`. Source: `USER_HZ`, which is 100 in the interface of every Linux we build for.
const TICKS_A_SECOND: f64 = 100.0;

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub resident: f64,
    /// The highest since its start (`VmHWM`).
    pub peak: f64,
}

/// What it holds now.
pub fn memory(pid: u32) -> Result<Memory, Error> {
    let status = read(pid, "status")?;
    parse_memory(&status).ok_or_else(|| Error::Other(format!("/proc/{pid}/status names no VmRSS: has it ended?")))
}

/// Seconds of processor time since its start, of all its threads, in user mode and in the kernel.
pub fn processor_seconds(pid: u32) -> Result<f64, Error> {
    let stat = read(pid, "stat")?;
    parse_processor(&stat).ok_or_else(|| Error::Other(format!("/proc/{pid}/stat cannot be read: {stat}")))
}

fn read(pid: u32, file: &str) -> Result<String, Error> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(while_doing(&path))
}

fn parse_memory(status: &str) -> Option<Memory> {
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()
    };
    Some(Memory { resident: kib("VmRSS:")? / 1024.0, peak: kib("VmHWM:")? / 1024.0 })
}

/// Fields 14 and 15, counted from behind the parenthesised name, which may hold anything.
fn parse_processor(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_A_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_pages_are_read() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(parse_memory(status), Some(Memory { resident: 10.0, peak: 20.0 }));
        assert_eq!(parse_memory("Name:\tzombie\n"), None);
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 9 9 20 0 5 0 1234 0 0";
        assert_eq!(parse_processor(stat), Some(3.0));
    }

    #[test]
    fn a_running_process_has_both() {
        let own = std::process::id();
        assert!(memory(own).unwrap().resident > 0.0);
        assert!(processor_seconds(own).unwrap() >= 0.0);
        assert!(memory(u32::MAX).is_err());
    }
}
