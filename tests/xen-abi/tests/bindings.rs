//! `rust-rt/xen/src/bindings.rs` is what bindgen makes of Xen's public headers.
//!
//! It is checked in, so that the crate builds where there are neither the headers nor a libclang.
//! `make header` writes it anew. Headers of another version than Debian 13's (Xen 4.20) may have more
//! constants; the layouts and the values that the runtime uses are Xen's stable interface.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// What the runtime takes from the headers, as regular expressions on C names.
const VARS: &[&str] = &[
    "__HYPERVISOR_(memory_op|xen_version|console_io|grant_table_op|sched_op|event_channel_op|hvm_op|vcpu_op)",
    "EVTCHNOP_(alloc_unbound|bind_interdomain|bind_virq|close|send)",
    "VIRQ_.*",
    "SCHEDOP_(poll|shutdown)",
    "SHUTDOWN_.*",
    "VCPUOP_(register_runstate_phys_area|set_periodic_timer)",
    "XEN_CPUID_TSC_EMULATED",
    "GNTTABOP_(map_grant_ref|unmap_grant_ref|copy|query_size|set_version)",
    "GNTTAB_NR_RESERVED_ENTRIES",
    "GNTMAP_(host_map|readonly)",
    "GNTCOPY_.*",
    "GNTST_.*",
    "GTF_.*",
    "XENMEM_(add_to_physmap|current_reservation|decrease_reservation|memory_map|populate_physmap)",
    "XENMAPSPACE_(shared_info|grant_table)",
    "XENVER_(version|extraversion|get_features)",
    "XENFEAT_.*",
    "XENVER_EXTRAVERSION_LEN|XEN_EXTRAVERSION_LEN",
    "HVMOP_[gs]et_param",
    "HVM_PARAM_(STORE|CONSOLE)_(PFN|EVTCHN)",
    "HVM_PARAM_CALLBACK_(IRQ|TYPE_VECTOR)",
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
    "vcpu_(runstate_info|register_runstate_memory_area|set_periodic_timer)",
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
    "vcpu.h",
    "grant_table.h",
    "hvm/hvm_op.h",
    "hvm/params.h",
    "arch-x86/cpuid.h",
    "io/console.h",
    "io/xs_wire.h",
    "io/netif.h",
    "io/blkif.h",
];

/// The bindings as the headers give them.
fn generate() -> String {
    let include = env::var("MIRUST_XEN_INCLUDE").unwrap_or_else(|_| "/usr/include".into());
    assert!(
        Path::new(&include).join("xen/xen.h").exists(),
        "Xen's public headers are not in {include}/xen (Debian: libxen-dev; MIRUST_XEN_INCLUDE names \
         another place); `make setup` installs what is missing"
    );
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
        .disable_header_comment()
        .raw_line("// Generated from Xen's public headers by tests/xen-abi: `make header` writes it anew.")
        .formatter(bindgen::Formatter::Prettyplease);
    for var in VARS {
        builder = builder.allowlist_var(var);
    }
    for ty in TYPES {
        builder = builder.allowlist_type(ty);
    }
    builder.generate().expect("bindgen reads Xen's headers").to_string()
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
        // SAFETY: the only test of this program, and nothing else reads the environment meanwhile.
        unsafe { env::set_var("LIBCLANG_PATH", newest) };
    }
}

#[test]
fn the_bindings_are_what_the_headers_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rust-rt/xen/src/bindings.rs");
    let fresh = generate();
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &fresh).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "rust-rt/xen/src/bindings.rs is stale: run `make header`");
}
