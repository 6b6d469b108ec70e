//! Errors that the driver of an NVIDIA device reports for a process.

use crate::parse::decimal;

/// A fault of a GPU: `NVRM: Xid …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xid {
    /// The pid of the process that used the device.
    pub pid: i32,
    /// The number of the Xid, as NVIDIA lists them.
    pub code: u32,
    /// The PCI address of the device, such as `PCI:0000:3b:00`.
    pub device: String,
}

impl Xid {
    /// `NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, name=python, GPU has fallen off the bus.`; in some releases of the
    /// driver the pid is in quotes. `None` where no process is known: `pid='<unknown>'`.
    pub fn parse(text: &str) -> Option<Self> {
        let (device, rest) = text.strip_prefix("NVRM: Xid (")?.split_once("): ")?;
        let (code, rest) = rest.split_once(", pid=")?;
        let pid = rest.split(',').next()?.trim_matches('\'');
        Some(Self { pid: decimal(pid)?, code: decimal(code)?, device: device.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_xid_names_device_code_and_process() {
        let xid = Xid { pid: 4242, code: 79, device: "PCI:0000:3b:00".to_owned() };
        let text = "NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, name=python, GPU has fallen off the bus.";
        assert_eq!(Xid::parse(text), Some(xid.clone()));
        assert_eq!(Xid::parse("NVRM: Xid (PCI:0000:3b:00): 79, pid='4242', name=a, b"), Some(xid));
        assert_eq!(Xid::parse("NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, x"), None);
    }
}
