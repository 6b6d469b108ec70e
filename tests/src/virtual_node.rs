//! A virtual machine as a node that is restarted in every way: an agent with its state on a disk, and a network that
//! reaches this machine. It is Debian's kernel, started by qemu in software emulation.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{coroner::agent, image::run, machine};

/// The name of the node.
pub const NAME: &str = "machine";
/// What the kernel needs for disk, network and what is kept of a panic.
const MODULES: [&str; 11] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "lib/reed_solomon/reed_solomon",
    "fs/pstore/ramoops",
];
/// Bytes of its disk.
const DISK: u64 = 256 << 20;

/// The machine. Dropped, it is off.
#[derive(Debug)]
pub struct VirtualNode {
    directory: PathBuf,
    kernel: PathBuf,
    aggregator_port: u16,
    qemu: Option<Child>,
}

impl VirtualNode {
    /// Makes one in this directory, whose agent reports to this port of the host, and switches it on.
    ///
    /// # Errors
    /// What could not be had: qemu, Debian's kernel, mkfs.ext4, busybox-static, cpio.
    pub fn start(directory: &Path, aggregator_port: u16) -> Result<Self> {
        let directory = directory.to_owned();
        let kernel = machine::kernel()?;
        let root = directory.join("machine");
        for path in ["bin", "modules"] {
            fs::create_dir_all(root.join(path))?;
        }
        fs::copy("/bin/busybox", root.join("bin/busybox"))
            .context("copying /bin/busybox; is busybox-static installed?")?;
        machine::add_program(&root, &agent()?, &root.join("agent"))?;
        let modules = machine::modules()?;
        for module in MODULES {
            let name = module.rsplit('/').next().unwrap_or(module);
            let from = modules.join(format!("{module}.ko"));
            fs::copy(&from, root.join(format!("modules/{name}.ko"))).with_context(|| format!("copying {from:?}"))?;
        }
        machine::add_script(&root, "init", include_str!("../machine/node"))?;
        machine::pack(&root, &directory.join("initramfs"))?;
        let disk = directory.join("disk");
        File::create(&disk)?.set_len(DISK)?;
        run(Command::new("/sbin/mkfs.ext4").arg("-q").arg(&disk))?;
        let mut node = Self { directory, kernel, aggregator_port, qemu: None };
        node.power_on()?;
        Ok(node)
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// Switches it on.
    ///
    /// # Errors
    /// That qemu does not start.
    pub fn power_on(&mut self) -> Result<()> {
        let socket = |name: &str| format!("unix:{},server=on,wait=off", self.path(name));
        let append = format!(
            "console=ttyS0 panic=1 memmap=1M$0x10000000 coroner_aggregator=http://10.0.2.2:{}",
            self.aggregator_port
        );
        let qemu = Command::new("qemu-system-x86_64")
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-append", &append])
            .args(["-kernel", &self.kernel.display().to_string(), "-initrd", &self.path("initramfs")])
            .args(["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="])
            .args(["-drive", &format!("file={},format=raw,if=none,id=disk0", self.path("disk"))])
            .args(["-device", "virtio-blk-pci,drive=disk0"])
            .args(["-serial", &format!("file:{}", self.path("console")), "-serial", &socket("shell")])
            .args(["-monitor", &socket("monitor")])
            .stdin(Stdio::null())
            .spawn()
            .context("starting qemu-system-x86_64; `make test` installs it")?;
        self.qemu = Some(qemu);
        Ok(())
    }

    /// Takes its power.
    ///
    /// # Errors
    /// That qemu cannot be ended.
    pub fn power_off(&mut self) -> Result<()> {
        if let Some(mut qemu) = self.qemu.take() {
            qemu.kill().context("ending qemu")?;
            qemu.wait().context("waiting for qemu")?;
        }
        Ok(())
    }

    /// Presses its button.
    ///
    /// # Errors
    /// That qemu does not take it.
    pub fn reset(&self) -> Result<()> {
        self.write("monitor", "system_reset")
    }

    /// Gives its shell a line.
    ///
    /// # Errors
    /// That qemu does not take it.
    pub fn run(&self, line: &str) -> Result<()> {
        self.write("shell", line)
    }

    fn write(&self, socket: &str, line: &str) -> Result<()> {
        let mut stream = UnixStream::connect(self.path(socket)).with_context(|| format!("connecting to {socket}"))?;
        writeln!(stream, "{line}").with_context(|| format!("writing to {socket}"))?;
        // The line is read before the connection ends.
        std::thread::sleep(std::time::Duration::from_millis(500));
        Ok(())
    }

    /// What it printed since it was switched on.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("console")).unwrap_or_default()).into_owned()
    }

    /// The end of that.
    pub fn tail(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        format!("--- console:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"))
    }
}

impl Drop for VirtualNode {
    fn drop(&mut self) {
        if let Err(error) = self.power_off() {
            eprintln!("{error:#}");
        }
    }
}
