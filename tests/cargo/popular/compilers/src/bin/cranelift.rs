use cranelift::prelude::*;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};

extern "C" fn twice(n: i64) -> i64 {
    2 * n
}

// A function that is compiled at run time, and calls one of the program's.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = JITBuilder::new(default_libcall_names())?;
    builder.symbol("twice", twice as *const u8);
    let mut module = JITModule::new(builder);
    let mut signature = module.make_signature();
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    let twice = module.declare_function("twice", Linkage::Import, &signature)?;
    let function = module.declare_function("function", Linkage::Export, &signature)?;
    let mut context = module.make_context();
    context.func.signature = signature;
    let mut parts = FunctionBuilderContext::new();
    let mut code = FunctionBuilder::new(&mut context.func, &mut parts);
    let block = code.create_block();
    code.append_block_params_for_function_params(block);
    code.switch_to_block(block);
    code.seal_block(block);
    let n = code.block_params(block)[0];
    let twice = module.declare_func_in_func(twice, code.func);
    let call = code.ins().call(twice, &[n]);
    let result = code.inst_results(call)[0];
    let result = code.ins().iadd_imm(result, 1);
    code.ins().return_(&[result]);
    code.finalize();
    module.define_function(function, &mut context)?;
    module.finalize_definitions()?;
    // SAFETY: it was compiled with this type.
    let function: extern "C" fn(i64) -> i64 =
        unsafe { std::mem::transmute(module.get_finalized_function(function)) };
    assert_eq!(function(20), 41);
    println!("works");
    Ok(())
}
