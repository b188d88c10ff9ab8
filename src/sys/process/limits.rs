//! What a process may use: resource limits, priority, processors.

use crate::sys::check;
use std::io;
use std::mem::{self, MaybeUninit};

/// A limited resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Open descriptors (`worker_rlimit_nofile`).
    OpenFiles,
    /// Bytes in a core file (`worker_rlimit_core`).
    Core,
    /// Seconds of processor time.
    CpuTime,
    /// Bytes of address space.
    Memory,
    /// Processes of the user.
    Processes,
}

impl Resource {
    pub(super) fn number(self) -> libc::__rlimit_resource_t {
        match self {
            Resource::OpenFiles => libc::RLIMIT_NOFILE,
            Resource::Core => libc::RLIMIT_CORE,
            Resource::CpuTime => libc::RLIMIT_CPU,
            Resource::Memory => libc::RLIMIT_AS,
            Resource::Processes => libc::RLIMIT_NPROC,
        }
    }
}

/// The limit in force and the highest it may be set to; `u64::MAX` is none.
pub fn limit(resource: Resource) -> io::Result<(u64, u64)> {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limits` outlives the call.
    check(unsafe { libc::getrlimit(resource.number(), &raw mut limits) })?;
    Ok((limits.rlim_cur, limits.rlim_max))
}

/// Sets both; raising the second takes privileges.
pub fn set_limit(resource: Resource, value: u64) -> io::Result<()> {
    let limits = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: `limits` outlives the call.
    check(unsafe { libc::setrlimit(resource.number(), &raw const limits) }).map(drop)
}

/// Sets this process's niceness, -20 to 20 (`worker_priority`).
pub fn set_priority(niceness: i32) -> io::Result<()> {
    // SAFETY: no pointers are involved.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) }).map(drop)
}

/// Binds this process to processors, counted from 0 (`worker_cpu_affinity`). Numbers beyond
/// what the kernel's set can hold are left out.
pub fn set_affinity(processors: &[usize]) -> io::Result<()> {
    // SAFETY: zeroes are the empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    for processor in processors
        .iter()
        .filter(|n| **n < libc::CPU_SETSIZE as usize)
    {
        // SAFETY: the number lies within the set.
        unsafe { libc::CPU_SET(*processor, &mut set) };
    }
    // SAFETY: the set has the length stated and outlives the call.
    check(unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) }).map(drop)
}

/// How many processors are online, which is what `worker_processes auto` means.
pub fn cpus() -> usize {
    // SAFETY: no pointers are involved.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(online).unwrap_or(1).max(1)
}
