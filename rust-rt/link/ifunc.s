# Chooses between functions of which a program has several, one for each kind of processor (`ifunc` and `target_clones`
# of C compilers), before any other constructor calls one. `image` links this if there are such functions.
	.intel_syntax noprefix
	.section .init_array.0, "aw", @init_array
	.balign 8
	.quad mirust_choose
	.section .text.mirust_choose, "ax", @progbits
	.type mirust_choose, @function
mirust_choose:
	push rbx
	push rbp
	sub rsp, 8
	lea rbx, [rip + __ifuncs]
	lea rbp, [rip + __ifuncs_end]
	# Each is a relocation: where the function's address goes, the kind, and who knows it.
1:	call [rbx + 16]
	mov rcx, [rbx]
	mov [rcx], rax
	add rbx, 24
	cmp rbx, rbp
	jb 1b
	add rsp, 8
	pop rbp
	pop rbx
	ret
	.section .note.GNU-stack, "", @progbits
