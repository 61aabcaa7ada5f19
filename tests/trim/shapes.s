# Two modules as ocamlopt writes them, and what it does not write as a rule: each of those is there if the symbol of
# that name is defined (as --defsym NAME=1). Functions follow each other without padding, wherever they begin.
#
# Main reads the fields 0 and 2 of Used, with the functions f and pick; nobody calls g and row. What the test looks for
# are the constants in them.

        .data
        .globl  caml_globals
caml_globals:
        .quad   camlUsed.gc_roots, camlMain.gc_roots, 0

        .globl  camlUsed.data_begin
camlUsed.data_begin:
        .quad   (3 << 10) + 0x300
        .globl  camlUsed
camlUsed:
.Lused: .quad   1, 1, 1

        .macro  closure name, function
        .quad   (2 << 10) + 0x300 + 247
        .globl  \name
\name:  .quad   \function, 0x100000000000005
        .endm

        closure camlUsed.1, camlUsed.f
        closure camlUsed.2, camlUsed.g
        closure camlUsed.3, camlUsed.pick
        closure camlUsed.4, camlUsed.row
        .globl  camlUsed.gc_roots
camlUsed.gc_roots:
        .quad   camlUsed, 0
        .globl  camlUsed.data_end
camlUsed.data_end:
        .quad   0
        .globl  camlUsed.frametable
camlUsed.frametable:
        .quad   2
        # Return addresses, frames of 16 bytes, and no live values.
        .quad   .Lf_returns
        .short  16, 0
        .balign 8
        .quad   .Lg_returns
        .short  16, 0
        .balign 8

        # C's data.
.Lof_c: .quad   7

        .globl  camlMain.data_begin
camlMain.data_begin:
        .quad   (1 << 10) + 0x300
        .globl  camlMain
camlMain:
        .quad   1
        .globl  camlMain.gc_roots
camlMain.gc_roots:
        .quad   camlMain, 0
        .globl  camlMain.data_end
camlMain.data_end:
        .quad   0
        .globl  camlMain.frametable
camlMain.frametable:
        .quad   0
        .ifdef  KIND
        .quad   camlUsed.g - .
        .endif
        .ifdef  BEHIND
        .quad   camlUsed.1 + 60
        .endif

        .section .rodata
        # Whatever is chosen, it goes on at the end of `pick`. Each entry is written as if it counted from itself, and
        # so the later ones seem to mean what is behind.
.Lchoices:
        .rept   64
        .long   .Lchosen - .Lchoices
        .endr
        .ifdef  TABLE
.Lmain_table:
        .long   .Lmain_chosen - .Lmain_table
        .endif

        .text
        .ifdef  BIAS
        # C: from before its data, which an index makes good.
        .globl  of_c
of_c:   lea     .Lof_c - 100(%rip), %rax
        mov     (%rax,%rdi,8), %rax
        ret
        .endif

        .globl  camlUsed.code_begin
camlUsed.code_begin:
        # Its last instruction is a call that does not return, and so its return address is g's.
        .globl  camlUsed.f
camlUsed.f:
        .cfi_startproc
        .ifdef  LOCAL
        call    camlUsed.g
        .endif
        mov     $0x66666666, %eax
        call    caml_ml_array_bound_error@PLT
.Lf_returns:
        .cfi_endproc
        .ifndef LOCAL
        .globl  camlUsed.g
        .endif
camlUsed.g:
        .cfi_startproc
        mov     $0x67676767, %eax
        call    caml_ml_array_bound_error@PLT
.Lg_returns:
        .cfi_endproc
        .globl  camlUsed.pick
camlUsed.pick:
        .cfi_startproc
        lea     .Lchoices(%rip), %rdx
        movslq  (%rdx,%rax,4), %rax
        add     %rax, %rdx
        jmp     *%rdx
.Lchosen:
        mov     $0x70707070, %eax
        ret
        .cfi_endproc
        .globl  camlUsed.row
camlUsed.row:
        .cfi_startproc
        mov     $0x72727272, %eax
        .rept   64
        nop
        .endr
        ret
        .cfi_endproc

        .macro  fill offset, block
        mov     \block@GOTPCREL(%rip), %rsi
        mov     camlUsed@GOTPCREL(%rip), %rdi
        .if     \offset
        add     $\offset, %rdi
        .endif
        mov     %rsp, %rbx
        mov     64(%r14), %rsp
        call    caml_initialize@PLT
        mov     %rbx, %rsp
        .endm

        .globl  camlUsed.entry
camlUsed.entry:
        .cfi_startproc
        fill    0, camlUsed.1
        fill    8, camlUsed.2
        fill    16, camlUsed.3
        mov     $1, %eax
        ret
        .cfi_endproc
        .globl  camlUsed.code_end
camlUsed.code_end:

        .globl  camlMain.code_begin
camlMain.code_begin:
        .globl  camlMain.entry
camlMain.entry:
        .cfi_startproc
        mov     camlUsed@GOTPCREL(%rip), %rax
        mov     (%rax), %rbx
        mov     %rbx, 16(%rsp)
        mov     16(%rax), %rdi
        mov     %rdi, 24(%rsp)
        .ifdef  MADE
        # A block that holds the function g becomes a field of this module, which nobody reads.
        mov     8(%rax), %rcx
        .if     MADE == 7 # What the field holds is followed, whoever reads the result,
        mov     (%rcx), %rcx
        .endif
        sub     $24, %r15
        call    caml_allocN@PLT
        lea     8(%r15), %rsi
        .if     MADE == 2 # It is spilled,
        mov     %rsi, 32(%rsp)
        .endif
        movq    $0x800, -8(%rsi)
        mov     %rcx, (%rsi)
        movq    $1, 8(%rsi)
        .if     MADE == 3 # or passed to C,
        mov     %rsi, %rdi
        call    something@PLT
        .endif
        .if     MADE == 4 # or what it holds is read,
        mov     (%rsi), %rdx
        mov     %rdx, 32(%rsp)
        .endif
        .if     MADE == 5 # or a jump leads to code that uses it,
        test    %rdx, %rdx
        jne     .Lused_later
        .endif
        mov     camlMain@GOTPCREL(%rip), %rdi
        mov     %rsp, %rbx
        mov     64(%r14), %rsp
        call    caml_initialize@PLT
        mov     %rbx, %rsp
        .if     MADE == 8 # or the block is perhaps written again, and what it holds read,
        test    %rdx, %rdx
        jne     .Lwritten
        mov     camlMain@GOTPCREL(%rip), %rax
        mov     (%rax), %rax
        movq    $1, (%rax)
.Lwritten:
        mov     camlMain@GOTPCREL(%rip), %rax
        mov     (%rax), %rax
        mov     (%rax), %rax
        mov     %rax, 32(%rsp)
        .endif
        .if     MADE == 6 # or the field is read.
        mov     camlMain@GOTPCREL(%rip), %rax
        mov     (%rax), %rax
        mov     %rax, 32(%rsp)
        .endif
        .endif
        .ifdef  SECTION
        lea     .Lused(%rip), %rsi
        mov     8(%rsi), %rsi
        .endif
        .ifdef  ALIAS
        mov     camlUsed.alias@GOTPCREL(%rip), %rsi
        mov     8(%rsi), %rsi
        .globl  camlUsed.alias
        .set    camlUsed.alias, camlUsed
        .endif
        .ifdef  HELPER
        # Of a later runtime, which might leave all registers as they are.
        call    caml_call_something@PLT
        mov     8(%rax), %rsi
        .endif
        .ifdef  STORED
        mov     %rax, 8(%rsp)
        .endif
        .ifdef  UNKNOWN
        cmovne  %rcx, %rdx
        .endif
        .ifdef  TABLE
        # The address of where to go on is made by other means than `add`.
        mov     camlUsed@GOTPCREL(%rip), %r10
        mov     $1, %eax
        lea     .Lmain_table(%rip), %rdx
        movslq  (%rdx,%rsi,4), %rsi
        lea     (%rdx,%rsi), %rcx
        jmp     *%rcx
.Lmain_chosen:
        mov     8(%r10), %rsi
        .endif
        mov     $1, %eax
        ret
        .ifdef  MADE
.Lused_later:
        mov     %rsi, 32(%rsp)
        ret
        .endif
        .cfi_endproc
        .globl  camlMain.code_end
camlMain.code_end:

        .section .text.caml_program, "ax"
        .globl  caml_program
caml_program:
        call    camlUsed.entry@PLT
        call    camlMain.entry@PLT
        ret
        .section .note.GNU-stack, "", @progbits
