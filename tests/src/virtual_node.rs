//! A virtual machine as a node: an agent on a disk, beside its state, and a network to the namespace in which the
//! machine is started. It is Debian's kernel, started by qemu in software emulation.

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
/// Its address; it reports to an aggregator at 192.0.2.9:7070, and the kubelet's port answers.
pub const ADDRESS: &str = "192.0.2.2";
/// What the kernel needs for disk, network, what is kept of a panic, FUSE and NFS. Each may need those before it.
const MODULES: [&str; 20] = [
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
    "fs/fuse/fuse",
    "net/sunrpc/sunrpc",
    "fs/nfs_common/grace",
    "fs/nfs_common/nfs_acl",
    "fs/lockd/lockd",
    "fs/netfs/netfs",
    "fs/fscache/fscache",
    "fs/nfs/nfs",
    "fs/nfs/nfsv3",
];
/// Bytes of its disk.
const DISK: u64 = 320 << 20;

/// The machine. Dropped, it is off.
#[derive(Debug)]
pub struct VirtualNode {
    directory: PathBuf,
    kernel: PathBuf,
    namespace: u32,
    qemu: Option<Child>,
}

impl VirtualNode {
    /// Makes one in this directory, and switches it on. Its network is `tap0` in the namespace of this process.
    ///
    /// # Errors
    /// What could not be had: qemu, Debian's kernel, mkfs.ext4, busybox-static, gcc, cpio.
    pub fn start(directory: &Path, namespace: u32) -> Result<Self> {
        let directory = directory.to_owned();
        let kernel = machine::kernel()?;
        let (root, on_disk) = (directory.join("machine"), directory.join("on-disk"));
        for path in [root.join("bin"), root.join("modules"), on_disk.clone()] {
            fs::create_dir_all(path)?;
        }
        fs::copy("/bin/busybox", root.join("bin/busybox"))
            .context("copying /bin/busybox; is busybox-static installed?")?;
        machine::add_program(&root, &agent()?, &on_disk.join("agent"))?;
        fs::copy(on_disk.join("agent"), on_disk.join("other"))?;
        let faults = Path::new(env!("CARGO_MANIFEST_DIR")).join("machine/fault.c");
        run(Command::new("gcc").args(["-O1", "-static", "-o"]).arg(root.join("fault")).arg(faults))?;
        let (modules, mut order) = (machine::modules()?, String::new());
        for module in MODULES {
            let name = module.rsplit('/').next().unwrap_or(module);
            let from = modules.join(format!("{module}.ko"));
            fs::copy(&from, root.join(format!("modules/{name}.ko"))).with_context(|| format!("copying {from:?}"))?;
            order.push_str(name);
            order.push('\n');
        }
        fs::write(root.join("modules/order"), order)?;
        machine::add_script(&root, "init", include_str!("../machine/node"))?;
        machine::pack(&root, &directory.join("initramfs"))?;
        let disk = directory.join("disk");
        File::create(&disk)?.set_len(DISK)?;
        run(Command::new("/sbin/mkfs.ext4").args(["-q", "-d"]).args([&on_disk, &disk]))?;
        let mut node = Self { directory, kernel, namespace, qemu: None };
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
        let append = "console=ttyS0 panic=1 memmap=1M$0x10000000";
        let qemu = Command::new("nsenter")
            .args([&format!("--net=/proc/{}/ns/net", self.namespace), "--", "qemu-system-x86_64"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "512"])
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-append", append])
            .args(["-kernel", &self.kernel.display().to_string(), "-initrd", &self.path("initramfs")])
            .args([
                "-netdev",
                "tap,id=net0,ifname=tap0,script=no,downscript=no",
                "-device",
                "virtio-net-pci,netdev=net0,romfile=",
            ])
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

    /// Lets its disk read so many blocks a second; 0: as fast as it can.
    ///
    /// # Errors
    /// That qemu does not take it.
    pub fn slow_down_disk(&self, reads: u32) -> Result<()> {
        self.write("monitor", &format!("block_set_io_throttle disk0 0 0 0 0 {reads} 0"))
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
