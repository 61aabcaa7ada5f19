# A whole PVH guest in a page: prints one line on its Xen console and shuts down. It proves that the
# rig works, whatever the state of our own images.
#
#   as --32 --defsym reason=N   SHUTDOWN_poweroff 0, SHUTDOWN_reboot 1, SHUTDOWN_crash 3
#
# Xen starts it in 32-bit protected mode without paging (docs/misc/pvh.pandoc). Numbers are from
# Xen's public headers: xen.h, sched.h, event_channel.h, hvm/hvm_op.h, hvm/params.h, io/console.h.

    .set HYPERVISOR_sched_op, 29
    .set HYPERVISOR_event_channel_op, 32
    .set HYPERVISOR_hvm_op, 34
    .set SCHEDOP_shutdown, 2
    .set EVTCHNOP_send, 4
    .set HVMOP_get_param, 1
    .set HVM_PARAM_CONSOLE_PFN, 17
    .set HVM_PARAM_CONSOLE_EVTCHN, 18
    .set DOMID_SELF, 0x7ff0
    .set out_ring, 1024             # in struct xencons_interface
    .set out_prod, 3084

    .section .note.Xen, "a", @note
    .long 4, 4, 18                  # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start

    .text
    .global start
start:
    mov $stack, %esp

    # The hypercall page, by the MSR that the hypervisor's CPUID leaf names.
    mov $0x40000002, %eax
    cpuid
    mov %ebx, %ecx
    mov $hypercall_page, %eax
    xor %edx, %edx
    wrmsr

    # The line goes into the console's output ring, which starts empty.
    movl $HVM_PARAM_CONSOLE_PFN, param_index
    call get_param
    mov %eax, %ebx
    shl $12, %ebx
    mov $line, %esi
    lea out_ring(%ebx), %edi
    mov $line_length, %ecx
    cld
    rep movsb
    movl $line_length, out_prod(%ebx)

    movl $HVM_PARAM_CONSOLE_EVTCHN, param_index
    call get_param
    mov %eax, argument
    mov $EVTCHNOP_send, %ebx
    mov $argument, %ecx
    call hypercall_page + 32 * HYPERVISOR_event_channel_op

    movl $reason, argument
    mov $SCHEDOP_shutdown, %ebx
    mov $argument, %ecx
    call hypercall_page + 32 * HYPERVISOR_sched_op
    ud2

get_param:
    mov $HVMOP_get_param, %ebx
    mov $param, %ecx
    call hypercall_page + 32 * HYPERVISOR_hvm_op
    mov param_value, %eax
    ret

    .data
    .balign 8
param:                              # struct xen_hvm_param
    .long DOMID_SELF
param_index:
    .long 0
param_value:
    .quad 0
argument:
    .long 0
line:
    .ascii "the rig works\n"
    .if reason == 3
    .ascii "exit status 3\n"
    .endif
    .set line_length, . - line

    .bss
    .balign 4096
hypercall_page:
    .skip 4096
    .skip 256
stack:
