//! Tells whether the process that holds a lease still lives, where that can be told: on the same machine only.

use std::fs;
use std::sync::LazyLock;

/// What this process says of itself: machine since its last start, process namespace, process id, time of its start.
static OWN: LazyLock<String> = LazyLock::new(|| {
    let pid = std::process::id();
    format!("{}/{}/{pid}/{}", machine(), namespace(), started(pid).unwrap_or_default())
});

/// The name in which this process holds leases. ASCII.
pub fn own_name() -> &'static str {
    &OWN
}

/// Whether the holder of this name is known to be dead: it ran on this machine, beneath the same process ids, and no
/// process of its id and start runs any longer. What cannot be told is taken for alive.
pub fn is_dead(holder: &str) -> bool {
    let words: Vec<_> = holder.split('/').collect();
    let [at, space, pid, start] = words.as_slice() else { return false };
    let Ok(pid) = pid.parse::<u32>() else { return false };
    let can_tell = !at.is_empty() && !space.is_empty() && !start.is_empty();
    can_tell
        && *at == machine()
        && *space == namespace()
        && sees_others()
        && started(pid).is_none_or(|now| now != *start)
}

/// Whether processes of other users are to be seen (Linux, proc(5), `hidepid`): the first one is root's.
fn sees_others() -> bool {
    fs::read("/proc/1/stat").is_ok()
}

/// New at every start of the machine (Linux, random(4)).
fn machine() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Process ids mean the same within one namespace only, such as one container (Linux, pid_namespaces(7)).
fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

/// When the process of this id was started, in clock ticks since the machine's start: field 22 of `stat`; the second field,
/// in parentheses, may hold blanks (Linux, proc_pid_stat(5)). `None` when there is none, or it has ended and nobody has asked for its end yet.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| start.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_dead_only_where_that_is_certain() {
        assert!(!is_dead(own_name()), "we live");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (pid, start) = (child.id(), started(child.id()).unwrap());
        let name = format!("{}/{}/{pid}/{start}", machine(), namespace());
        assert!(!is_dead(&name), "it runs");
        assert!(is_dead(&format!("{}/{}/{pid}/1", machine(), namespace())), "its id was given to another process");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_dead(&name), "it was killed");
        for elsewhere in
            [format!("other/{}/{pid}/{start}", namespace()), format!("{}/1/{pid}/{start}", machine()), String::new()]
        {
            assert!(!is_dead(&elsewhere), "{elsewhere}: cannot be told");
        }
    }
}
