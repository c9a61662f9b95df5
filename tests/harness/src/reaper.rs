//! The guard that outlives us: ends every process and removes every folder of this harness once we
//! are gone, however we went. Needs only `/bin/sh`. Must not end a process nobody registered.
//!
//! How: one shell per harness process reads orders from a pipe whose other end only we hold. When
//! the pipe closes (normal end, panic, Ctrl-C, SIGKILL), it kills what is still on its list. Why
//! not `PR_SET_PDEATHSIG`: it follows the *thread* that forked, so a test thread that ends would
//! take a shared control plane with it; and it needs `unsafe`.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::Error;

/// The shell program. It has a process group of its own and ignores the signals of a terminal, so
/// Ctrl-C cannot take it away before its work is done. Each registered process leads a group,
/// which is killed as a whole. Folders go last, as a dying server may still write into them; one
/// that will not die is waited for no longer than 30 s.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids=' ' folders=''
while read -r order rest; do
  case $order in
    watch) pids="$pids$rest " ;;
    forget)
      case $pids in
        *" $rest "*) pids="${pids%% $rest *} ${pids#* $rest }" ;;
      esac
      ;;
    remove) folders="$folders$rest
" ;;
  esac
done
for pid in $pids; do kill -s KILL -- "-$pid"; done 2>/dev/null
tries=0
while [ $tries -lt 300 ]; do
  alive=''
  for pid in $pids; do kill -s 0 -- "-$pid" && alive=yes; done
  [ -n "$alive" ] || break
  tries=$((tries + 1))
  sleep 0.1
done 2>/dev/null
printf %s "$folders" | while read -r folder; do rm -rf -- "$folder"; done 2>/dev/null
"#;

static REAPER: OnceLock<Mutex<Option<ChildStdin>>> = OnceLock::new();

/// From now on the process group `pid` dies with us.
pub fn watch(pid: u32) -> Result<(), Error> {
    order(&format!("watch {pid}\n"))
}

/// The process has been waited for: its number may soon belong to somebody else.
pub fn forget(pid: u32) -> Result<(), Error> {
    order(&format!("forget {pid}\n"))
}

/// From now on the folder is removed with us.
pub fn remove(folder: &Path) -> Result<(), Error> {
    order(&format!("remove {}\n", folder.display()))
}

fn order(line: &str) -> Result<(), Error> {
    let reaper = REAPER.get_or_init(|| Mutex::new(start()));
    let mut pipe = reaper.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(pipe) = pipe.as_mut() else {
        return Err(Error::Other("the guard shell could not be started".into()));
    };
    pipe.write_all(line.as_bytes()).map_err(Error::io("talking to the guard shell"))
}

fn start() -> Option<ChildStdin> {
    let child = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    child.stdin
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the guard kills, in order, after these orders. Its `kill` is replaced, so that the numbers mean nobody.
    fn killed_after(orders: &str) -> Vec<String> {
        let script = format!(r#"kill() {{ [ "$2" = KILL ] && echo "$4"; }}{SCRIPT}"#);
        let mut guard =
            Command::new("/bin/sh").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        guard.stdin.take().unwrap().write_all(orders.as_bytes()).unwrap();
        let output = guard.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn exactly_the_watched_are_killed() {
        assert_eq!(killed_after("watch 11\nwatch 12\nwatch 13\n"), ["-11", "-12", "-13"]);
        for (gone, left) in [("11", ["-12", "-13"]), ("12", ["-11", "-13"]), ("13", ["-11", "-12"])] {
            assert_eq!(killed_after(&format!("watch 11\nwatch 12\nwatch 13\nforget {gone}\n")), left);
        }
    }

    #[test]
    fn forgetting_an_unknown_process_changes_nothing() {
        for unknown in ["7", "1", "2", "112"] {
            let orders = format!("watch 11\nwatch 12\nforget {unknown}\nforget {unknown}\n");
            assert_eq!(killed_after(&orders), ["-11", "-12"], "forget {unknown}");
        }
        assert!(killed_after("watch 11\nforget 11\nforget 11\n").is_empty());
    }
}
