//! Runs a program and tells what it took: wall time, processor time, peak memory.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often the peak memory is read; the kernel keeps the peak, so that only the growth since the last look is lost.
const LOOK: Duration = Duration::from_millis(10);
/// Lines of a program's end that an error shows.
const TAIL_LINES: usize = 12;

/// What a program took.
#[derive(Clone, Debug)]
pub(super) struct Metered {
    pub(super) wall: Duration,
    /// User and system time of it and of the children that it has waited for.
    pub(super) cpu_seconds: f64,
    pub(super) peak_rss_mib: f64,
    pub(super) stdout: String,
}

/// Runs it to its end, or kills it at `limit`. Its output goes into `folder`.
///
/// # Errors
/// When it cannot be started, is too slow, or ends badly; with its last lines.
pub(super) fn run(mut command: Command, limit: Duration, folder: &Path) -> Result<Metered> {
    let (out, errors) = (folder.join("stdout"), folder.join("stderr"));
    command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&errors)?);
    let name = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let seen = watch(&child, limit);
    let wall = started.elapsed();
    if seen.is_err() {
        child.kill()?;
    }
    let cpu_seconds = cpu_seconds(child.id());
    let status = child.wait()?;
    let (stdout, errors) = (read(&out), read(&errors));
    let peak_rss_mib = match seen {
        Ok(peak) if status.success() => peak,
        Ok(_) => bail!("{}", story(&describe(status), &stdout, &errors)),
        Err(error) => bail!("{}", story(&format!("{error:#}"), &stdout, &errors)),
    };
    Ok(Metered { wall, cpu_seconds: cpu_seconds?, peak_rss_mib, stdout })
}

/// Waits for its end without taking its exit status, so that its figures can still be read; gives the peak memory.
fn watch(child: &Child, limit: Duration) -> Result<f64> {
    let (pid, status) = (Pid::from_child(child), format!("/proc/{}/status", child.id()));
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = ended.send(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT));
    });
    let (started, mut peak) = (Instant::now(), 0.0);
    loop {
        match end.recv_timeout(LOOK) {
            Ok(waited) => {
                waited.context("cannot wait for a program")?;
                return Ok(peak);
            }
            Err(_) => peak = peak_rss_mib(&std::fs::read_to_string(&status).unwrap_or_default()).unwrap_or(peak),
        }
        if started.elapsed() > limit {
            bail!("not done after {} s", limit.as_secs());
        }
    }
}

/// `VmHWM` (proc(5)); a program that has ended has none any more.
fn peak_rss_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Processor time of a process and its children that have ended, in seconds.
///
/// # Errors
/// When there is no such process.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("no such process any more")?;
    parse_cpu(&stat).context("/proc/PID/stat is odd")
}

/// utime, stime, cutime and cstime: the fields 14 to 17 (proc(5)). The name before them may hold anything.
fn parse_cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    (ticks.len() == 4).then(|| f64::from(ticks.iter().sum::<u32>()) / f64::from(per_second))
}

fn describe(status: ExitStatus) -> String {
    format!("ended with {status}")
}

fn story(what: &str, stdout: &str, errors: &str) -> String {
    let lines: Vec<_> = stdout.lines().chain(errors.lines()).filter(|line| !line.trim().is_empty()).collect();
    format!("{what}:\n{}", lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Metered> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, limit, tempfile::tempdir()?.path())
    }

    #[test]
    fn a_program_s_work_and_that_of_its_children_is_seen() {
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let limit = Duration::from_secs(120);
        let alone = shell(&format!("{work}; echo done"), limit).unwrap();
        assert_eq!(alone.stdout, "done\n");
        assert!(alone.cpu_seconds > 0.0 && alone.peak_rss_mib > 0.2, "{alone:?}");
        assert!(shell(&format!("sh -c '{work}; exit 0'; exit 0"), limit).unwrap().cpu_seconds > 0.0);
    }

    #[test]
    fn failures_carry_the_last_lines() {
        let failed = shell("echo much; echo wrong >&2; exit 7", Duration::from_secs(60)).unwrap_err().to_string();
        assert_eq!(failed, "ended with exit status: 7:\nmuch\nwrong");
        let slow = shell("echo slow; exec sleep 600", Duration::from_millis(200)).unwrap_err().to_string();
        assert!(slow.starts_with("not done after 0 s:"), "{slow}");
    }

    #[test]
    fn odd_names_do_not_mislead() {
        let stat = "12 (a) b) R 1 1 1 0 -1 4194560 1 2 3 4 250 50 25 75 20 0 1 0 5 6";
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(parse_cpu(stat), Some(400.0 / per_second));
        assert_eq!(parse_cpu("12 (a"), None);
        assert_eq!(peak_rss_mib("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2.0));
    }
}
