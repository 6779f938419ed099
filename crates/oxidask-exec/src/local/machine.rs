//! How much memory this process may use.

/// 60 % of the memory of the machine or of the control group, whichever is
/// less; no limit where the system does not say.
pub(super) fn default_memory_limit() -> u64 {
    memory_bytes().map_or(u64::MAX, |bytes| bytes / 10 * 6)
}

/// Bytes of memory of the machine or of the control group.
pub(super) fn memory_bytes() -> Option<u64> {
    let machine = machine_bytes(&std::fs::read_to_string("/proc/meminfo").ok()?);
    machine.into_iter().chain(group_bytes()).min()
}

/// The total in the text of `/proc/meminfo`.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The least limit of the control groups around this process, of either version.
fn group_bytes() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = |path: String| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let mut least = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        // A limit may be set at any level above.
        let mut group = group.trim_end_matches('/');
        loop {
            least = least.into_iter().chain(limit(format!("{root}{group}/{file}"))).min();
            let Some(end) = group.rfind('/') else { break };
            group = &group[..end];
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_memory() {
        let bytes = memory_bytes().unwrap();
        assert!(bytes > 64 << 20, "{bytes}");
        assert!(default_memory_limit() < bytes);
    }

    #[test]
    fn meminfo_is_understood() {
        assert_eq!(machine_bytes("MemTotal:       24634180 kB\nMemFree: 1 kB\n"), Some(24_634_180 * 1024));
        assert_eq!(machine_bytes("nothing"), None);
    }
}
