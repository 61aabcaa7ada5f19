//! Reads Xen's public headers: constants and structure layouts for `xen::abi`.
//!
//! They are read at every build, also for the Unix platform, because the wire layouts that are
//! written by hand are asserted against them at compile time.

use std::{env, fs, path::PathBuf, process::exit};

/// What the runtime takes from the headers, as regular expressions on C names.
const VARS: &[&str] = &[
    "__HYPERVISOR_(memory_op|xen_version|console_io|grant_table_op|sched_op|event_channel_op|hvm_op)",
    "EVTCHNOP_(alloc_unbound|bind_interdomain|bind_virq|close|send)",
    "VIRQ_.*",
    "SCHEDOP_(poll|shutdown)",
    "SHUTDOWN_.*",
    "GNTTABOP_(map_grant_ref|unmap_grant_ref|copy|query_size|set_version)",
    "GNTTAB_NR_RESERVED_ENTRIES",
    "GNTMAP_(host_map|readonly)",
    "GNTCOPY_.*",
    "GNTST_.*",
    "GTF_.*",
    "XENMEM_(add_to_physmap|decrease_reservation|memory_map)",
    "XENMAPSPACE_(shared_info|grant_table)",
    "XENVER_(version|extraversion|get_features)",
    "XENFEAT_.*",
    "XENVER_EXTRAVERSION_LEN|XEN_EXTRAVERSION_LEN",
    "HVMOP_get_param",
    "HVM_PARAM_(STORE|CONSOLE)_(PFN|EVTCHN)",
    "CONSOLEIO_write",
    "XENSTORE_.*",
    "XS_.*",
    "NETIF_RSP_(DROPPED|ERROR|OKAY)",
    "BLKIF_(OP|RSP|MAX|DISCARD)_.*",
    "VDISK_.*",
];

/// Structures whose layout the runtime uses or checks.
const TYPES: &[&str] = &[
    "xen_errno",
    "shared_info",
    "vcpu_info",
    "vcpu_time_info",
    "evtchn_(alloc_unbound|bind_interdomain|bind_virq|close|send)",
    "sched_(poll|shutdown)",
    "xen_add_to_physmap",
    "xen_memory_(map|reservation)",
    "xen_feature_info",
    "xen_hvm_param",
    "grant_entry_v1",
    "gnttab_(map_grant_ref|unmap_grant_ref|copy|query_size|set_version)",
    "xsd_sockmsg",
    "xsd_sockmsg_type",
    "xenstore_domain_interface",
    "xencons_interface",
    "netif_(tx_request|tx_response|rx_request|rx_response|extra_info)",
    "netif_[tr]x_sring",
    "blkif_(request|request_discard|request_indirect|request_segment|response|sring)",
];

/// The headers, in an order in which they include cleanly.
const HEADERS: &[&str] = &[
    "xen.h",
    "errno.h",
    "features.h",
    "version.h",
    "memory.h",
    "event_channel.h",
    "sched.h",
    "grant_table.h",
    "hvm/hvm_op.h",
    "hvm/params.h",
    "io/console.h",
    "io/xs_wire.h",
    "io/netif.h",
    "io/blkif.h",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=MIRUST_XEN_INCLUDE");
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");

    let include = env::var("MIRUST_XEN_INCLUDE").unwrap_or_else(|_| "/usr/include".into());
    if !PathBuf::from(&include).join("xen/xen.h").exists() {
        fail(&format!(
            "Xen's public headers are not in {include}/xen (Debian: libxen-dev; \
             MIRUST_XEN_INCLUDE names another place)"
        ));
    }
    find_libclang();

    let mut text = String::from("#include <stdint.h>\n#include <stddef.h>\n");
    text += "#define __XEN_INTERFACE_VERSION__ 0x00041000\n";
    for header in HEADERS {
        text += &format!("#include <xen/{header}>\n");
    }

    let mut builder = bindgen::Builder::default()
        .header_contents("mirust-xen.h", &text)
        .clang_args(["--target=x86_64-unknown-linux-gnu", "-I", include.as_str()])
        .use_core()
        .generate_comments(false)
        .derive_default(true)
        .layout_tests(true)
        .prepend_enum_name(false)
        .formatter(bindgen::Formatter::None);
    for var in VARS {
        builder = builder.allowlist_var(var);
    }
    for ty in TYPES {
        builder = builder.allowlist_type(ty);
    }
    let bindings = match builder.generate() {
        Ok(bindings) => bindings,
        Err(error) => fail(&format!("bindgen could not read Xen's headers: {error}")),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("xen_abi.rs")).expect("cannot write to OUT_DIR");
}

/// Points bindgen at a libclang where Debian's `libclang1-NN` alone is installed: that package has
/// no `libclang.so` in the linker's path.
fn find_libclang() {
    if env::var_os("LIBCLANG_PATH").is_some() {
        return;
    }
    let Ok(entries) = fs::read_dir("/usr/lib") else { return };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().starts_with("/usr/lib/llvm-"))
        .map(|path| path.join("lib"))
        .filter(|lib| {
            let files = fs::read_dir(lib).into_iter().flatten().flatten();
            files.into_iter().any(|f| f.file_name().to_string_lossy().starts_with("libclang"))
        })
        .collect();
    found.sort();
    if let Some(newest) = found.pop() {
        // SAFETY: a build script has one thread at this point.
        unsafe { env::set_var("LIBCLANG_PATH", newest) };
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}; `make setup` installs what is missing");
    exit(1);
}
