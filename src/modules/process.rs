//! The main block: which processes run, as whom and with which limits.

use crate::config::context::MAIN;
use crate::config::tree::bytes_of;
use crate::config::units;
use crate::config::{Directive, Finish, Mistake, Module, Outcome, Use, directive};
use crate::exchange::{CpuAffinity, Identity, ProcessSettings};
use crate::log::errno::Errno;
use crate::sys::process;
use std::rc::Rc;

/// Whom workers run as when `user` is not given and the master is root.
const NOBODY: &str = "nobody";

/// The groups looked for in that case; systems call it one or the other.
const NOBODY_GROUPS: [&str; 2] = ["nobody", "nogroup"];

/// Where the master's process number is kept when `pid` is not given.
const PID_FILE: &[u8] = b"logs/nginx.pid";

/// How many processors a `worker_cpu_affinity` mask may name.
const MAX_PROCESSORS: usize = 1024;

/// Directives of the main block about processes.
pub struct Process;

type Row = Directive<ProcessSettings>;

const fn row(name: &'static str) -> Row {
    directive(name).contexts(MAIN)
}

impl Module for Process {
    type Settings = ProcessSettings;
    const NAME: &'static str = "process";
    const DIRECTIVES: &'static [Row] = &[];
    const GROUPS: &'static [&'static [Row]] = &[RUNNING, WORKERS, TUNED];

    fn finish(settings: &mut Rc<ProcessSettings>, block: &mut Finish<'_>) -> Outcome {
        if !block.context().within(MAIN) {
            return Ok(());
        }
        let settings = Rc::make_mut(settings);
        if settings.pid.is_empty() {
            settings.pid = bytes_of(block.resolve_prefix(PID_FILE));
        }
        if settings.user.is_none() && process::effective_uid() == 0 {
            settings.user = Some(nobody().map_err(|message| Mistake::emerg(None, message))?);
        }
        if let CpuAffinity::Sets(sets) = &settings.worker_cpu_affinity
            && sets.len() != 1
            && sets.len() != settings.worker_processes
        {
            block.report(Mistake::warn(
                None,
                "the number of \"worker_processes\" is not equal to the number of \
                 \"worker_cpu_affinity\" masks, using last mask for remaining worker processes",
            ));
        }
        Ok(())
    }
}

/// The server as a whole.
const RUNNING: &[Row] = &[
    row("daemon")
        .syntax("on | off")
        .default("on")
        .flag()
        .doc("Detaches from the terminal and goes on in the background.")
        .set(|s, d| d.flag().map(|on| s.daemon = on)),
    row("master_process")
        .syntax("on | off")
        .default("on")
        .flag()
        .doc("Serves from worker processes; without them the one process serves by itself.")
        .set(|s, d| d.flag().map(|on| s.master_process = on)),
    row("pid")
        .syntax("file")
        .default("logs/nginx.pid")
        .doc("Names the file that holds the process number of the master.")
        .set(|s, d| {
            s.pid = bytes_of(d.prefix_path(0));
            Ok(())
        }),
    row("user")
        .syntax("user [group]")
        .default("nobody nobody")
        .between(1, 2)
        .doc("Says whom workers run as; without a group it is the one of the user's name.")
        .set(user),
    row("working_directory")
        .syntax("directory")
        .doc("Sets the current folder of workers, where they leave core files.")
        .set(|s, d| {
            s.working_directory = Some(d.arg(0).to_vec());
            Ok(())
        }),
    row("env")
        .syntax("variable[=value]")
        .default("TZ")
        .doc("Hands an environment variable on to workers and to the programs they start.")
        .repeat(|s, d| {
            s.env.push(match d.key_value(0) {
                Some((name, value)) => (name.to_vec(), Some(value.to_vec())),
                None => (d.arg(0).to_vec(), None),
            });
            Ok(())
        }),
];

/// The worker processes.
const WORKERS: &[Row] = &[
    row("worker_processes")
        .syntax("number | auto")
        .default("1")
        .doc("Sets how many workers serve; \"auto\" means one for each processor.")
        .set(|s, d| {
            s.worker_processes = match d.arg(0) {
                b"auto" => process::cpus(),
                number => units::number(number)
                    .and_then(|number| usize::try_from(number).ok())
                    .ok_or_else(|| d.complaint(0, "invalid value"))?,
            };
            Ok(())
        }),
    row("worker_cpu_affinity")
        .syntax("cpumask ... | auto [cpumask]")
        .at_least(1)
        .doc("Binds workers to processors, by a mask for each worker or automatically.")
        .set(|s, d| {
            s.worker_cpu_affinity = affinity(d)?;
            Ok(())
        }),
    row("worker_priority")
        .syntax("number")
        .default("0")
        .doc("Sets the niceness of workers; a negative one puts them before others.")
        .set(|s, d| {
            s.worker_priority =
                priority(d.arg(0)).ok_or_else(|| d.complaint(0, "invalid number"))?;
            Ok(())
        }),
    row("worker_rlimit_nofile")
        .syntax("number")
        .doc("Limits how many files and sockets a worker may have open.")
        .set(|s, d| d.number(0).map(|n| s.worker_rlimit_nofile = Some(n))),
    row("worker_rlimit_core")
        .syntax("size")
        .doc("Limits the size of a worker's core file.")
        .set(|s, d| d.offset(0).map(|n| s.worker_rlimit_core = Some(n))),
    row("worker_shutdown_timeout")
        .syntax("time")
        .doc("Limits how long retired workers go on with what they have begun.")
        .set(|s, d| {
            d.duration(0)
                .map(|time| s.worker_shutdown_timeout = Some(time))
        }),
];

/// What only tunes another implementation.
const TUNED: &[Row] = &[
    row("lock_file")
        .syntax("file")
        .default("logs/nginx.lock")
        .doc("Names a file for locks; workers need none.")
        .tunes(),
    row("timer_resolution")
        .syntax("interval")
        .doc("Reads the clock less often; it is read once for each batch of events.")
        .tunes(),
    row("pcre_jit")
        .syntax("on | off")
        .default("off")
        .flag()
        .doc("Compiles regular expressions to machine code, which happens wherever it pays.")
        .tunes(),
    row("thread_pool")
        .syntax("name threads=number [max_queue=number]")
        .default("default threads=32 max_queue=65536")
        .between(2, 3)
        .doc("Describes threads that read files; a worker has one thread only.")
        .tunes_each(),
    row("debug_points")
        .syntax("abort | stop")
        .doc("Stops at internal errors, for a debugger.")
        .tunes(),
    row("load_module")
        .syntax("file")
        .doc("Loads a module at run time; all modules are built in.")
        .tunes_each(),
    row("ssl_engine")
        .syntax("device")
        .doc("Chooses a cryptographic device of OpenSSL, which is not used here.")
        .tunes(),
];

fn user(settings: &mut ProcessSettings, d: &mut Use<'_>) -> Outcome {
    if process::effective_uid() != 0 {
        d.warn(
            0,
            "the \"user\" directive makes sense only if the master process runs \
             with super-user privileges, ignored",
        );
        return Ok(());
    }
    let name = d.text(0)?;
    let uid = user_id(name).map_err(|message| d.mistake(0, message))?;
    let at = d.count() - 1;
    let gid = group_id(d.text(at)?).map_err(|message| d.mistake(at, message))?;
    let name = name.to_owned();
    settings.user = Some(Identity { name, uid, gid });
    Ok(())
}

/// The identity of those who did not choose one.
fn nobody() -> Result<Identity, String> {
    let uid = user_id(NOBODY)?;
    let known = NOBODY_GROUPS.iter().find_map(|name| group_id(name).ok());
    Ok(Identity {
        name: NOBODY.to_owned(),
        uid,
        gid: known.map_or_else(|| group_id(NOBODY_GROUPS[0]), Ok)?,
    })
}

fn user_id(name: &str) -> Result<u32, String> {
    let found = process::user(name).map(|user| user.map(|user| user.uid));
    known("getpwnam", name, found)
}

fn group_id(name: &str) -> Result<u32, String> {
    known("getgrnam", name, process::group(name))
}

/// The number that was found, or nginx's words for its absence.
fn known(call: &str, name: &str, found: std::io::Result<Option<u32>>) -> Result<u32, String> {
    match found {
        Ok(Some(number)) => Ok(number),
        Ok(None) => Err(format!("{call}(\"{name}\") failed")),
        Err(error) => Err(format!("{call}(\"{name}\") failed {}", Errno(&error))),
    }
}

/// A number with an optional sign.
fn priority(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let number = i32::try_from(units::number(digits)?).ok()?;
    Some(if negative { -number } else { number })
}

fn affinity(d: &Use<'_>) -> Result<CpuAffinity, Mistake> {
    if d.arg(0) != b"auto" {
        let sets = (0..d.count()).map(|i| processors(d, i));
        return Ok(CpuAffinity::Sets(sets.collect::<Result<_, _>>()?));
    }
    match d.count() {
        1 => Ok(CpuAffinity::Each(
            (0..process::cpus().min(MAX_PROCESSORS)).collect(),
        )),
        2 => Ok(CpuAffinity::Each(processors(d, 1)?)),
        _ => {
            let message = "invalid number of arguments in \"worker_cpu_affinity\" directive";
            Err(d.mistake(0, message))
        }
    }
}

/// The processors a mask of ones and zeroes names; its last digit is processor 0.
fn processors(d: &Use<'_>, i: usize) -> Result<Vec<usize>, Mistake> {
    let mask = d.arg(i);
    if mask.len() > MAX_PROCESSORS {
        let message = format!("\"worker_cpu_affinity\" supports up to {MAX_PROCESSORS} CPUs only");
        return Err(d.mistake(i, message));
    }
    let digits = mask.iter().rev().filter(|&&digit| digit != b' ');
    let mut processors = Vec::new();
    for (number, digit) in digits.enumerate() {
        match digit {
            b'0' => {}
            b'1' => processors.push(number),
            _ => {
                let digit = char::from(*digit);
                let message = format!("invalid character \"{digit}\" in \"worker_cpu_affinity\"");
                return Err(d.mistake(i, message));
            }
        }
    }
    Ok(processors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::fixture::{found, load};
    use std::time::Duration;

    fn settings(text: &str) -> Rc<ProcessSettings> {
        let configuration = load(&format!("{text} events {{ }}")).unwrap();
        configuration.root.settings::<Process>()
    }

    #[test]
    fn defaults() {
        let s = settings("");
        assert!(s.daemon && s.master_process);
        assert_eq!((s.worker_processes, s.worker_priority), (1, 0));
        assert_eq!(s.pid, b"/srv/logs/nginx.pid");
        assert_eq!(s.worker_cpu_affinity, CpuAffinity::Unbound);
        assert_eq!(s.user.is_some(), process::effective_uid() == 0);
    }

    #[test]
    fn values() {
        let s = settings(
            "daemon off; master_process off; worker_processes 3; worker_priority -10; pid run/p; \
             worker_rlimit_nofile 100; worker_rlimit_core 1g; worker_shutdown_timeout 1m; \
             working_directory w; env A; env B=1=2; load_module x.so; thread_pool a threads=2;",
        );
        assert!(!s.daemon && !s.master_process);
        assert_eq!((s.worker_processes, s.worker_priority), (3, -10));
        assert_eq!(s.pid, b"/srv/run/p");
        assert_eq!(s.worker_rlimit_nofile, Some(100));
        assert_eq!(s.worker_rlimit_core, Some(1 << 30));
        assert_eq!(s.worker_shutdown_timeout, Some(Duration::from_secs(60)));
        assert_eq!(s.working_directory.as_deref(), Some(&b"w"[..]));
        let env = [
            (b"A".to_vec(), None),
            (b"B".to_vec(), Some(b"1=2".to_vec())),
        ];
        assert_eq!(s.env, env);
        assert_eq!(
            settings("worker_processes auto;").worker_processes,
            process::cpus()
        );
    }

    #[test]
    fn affinity_of_each_worker() {
        let of = |text: &str, worker| {
            let affinity = settings(text).worker_cpu_affinity.clone();
            affinity.of_worker(worker).map(<[usize]>::to_vec)
        };
        let masks = "worker_processes 2; worker_cpu_affinity 0101 1000;";
        for (text, worker, expected) in [
            ("", 0, None),
            (masks, 0, Some(vec![0, 2])),
            (masks, 1, Some(vec![3])),
            (masks, 7, Some(vec![3])),
            ("worker_cpu_affinity auto 1010;", 0, Some(vec![1])),
            ("worker_cpu_affinity auto 1010;", 1, Some(vec![3])),
            ("worker_cpu_affinity auto 1010;", 2, Some(vec![1])),
            ("worker_cpu_affinity auto 00;", 0, None),
        ] {
            assert_eq!(of(text, worker), expected, "{text} {worker}");
        }
    }

    #[test]
    fn mistakes() {
        for (text, expected) in [
            (
                "worker_processes x;",
                "\"worker_processes\" directive invalid value",
            ),
            (
                "worker_priority 1x;",
                "\"worker_priority\" directive invalid number",
            ),
            (
                "worker_priority --1;",
                "\"worker_priority\" directive invalid number",
            ),
            (
                "daemon off; daemon on;",
                "\"daemon\" directive is duplicate",
            ),
            (
                "worker_cpu_affinity 012;",
                "invalid character \"2\" in \"worker_cpu_affinity\"",
            ),
            (
                "worker_cpu_affinity auto 1 1;",
                "invalid number of arguments in \"worker_cpu_affinity\" directive",
            ),
            (
                "worker_processes 3; worker_cpu_affinity 1 10;",
                "the number of \"worker_processes\" is not equal to the number of \
                 \"worker_cpu_affinity\" masks, using last mask for remaining worker processes",
            ),
        ] {
            assert_eq!(found(&format!("{text} events {{ }}")), [expected], "{text}");
        }
    }

    #[test]
    fn users() {
        let unknown = found("user no.such.user; events { }");
        let as_root = process::effective_uid() == 0;
        match as_root {
            true => assert_eq!(unknown, ["getpwnam(\"no.such.user\") failed"]),
            false => assert!(unknown[0].starts_with("the \"user\" directive makes sense only")),
        }
        let root = settings("user root root;").user.clone();
        let expected = Identity {
            name: "root".into(),
            uid: 0,
            gid: 0,
        };
        assert_eq!(root, as_root.then_some(expected));
    }
}
