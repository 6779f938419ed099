//! `#[task]`: the lazy twin of a function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericArgument, Ident, ItemFn, PathArguments, Result, ReturnType, Token, Type};

/// What stands in the brackets of `#[task(…)]`.
pub struct Options {
    impure: bool,
}

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut options = Options { impure: false };
        for word in Punctuated::<Ident, Token![,]>::parse_terminated(input)? {
            if word != "impure" {
                return Err(Error::new(word.span(), "#[task] knows one option: `impure`"));
            }
            options.impure = true;
        }
        Ok(options)
    }
}

/// An argument as the function takes it and as a lazy call takes it.
struct Argument {
    name: Ident,
    /// The owned type that travels.
    owned: Type,
    by_reference: bool,
}

pub fn expand(options: &Options, function: &ItemFn) -> Result<TokenStream> {
    check_signature(function)?;
    let arguments = function
        .sig
        .inputs
        .iter()
        .enumerate()
        .map(|(idx, input)| argument(idx, input))
        .collect::<Result<Vec<Argument>>>()?;
    let name = &function.sig.ident;
    let visibility = &function.vis;
    let label = name.to_string();
    let pure = !options.impure;
    let n_arguments = arguments.len();

    let names: Vec<&Ident> = arguments.iter().map(|argument| &argument.name).collect();
    let owned: Vec<&Type> = arguments.iter().map(|argument| &argument.owned).collect();
    let passed = arguments.iter().map(|Argument { name, owned, by_reference }| {
        let typed = quote_spanned!(owned.span()=> #name.expect::<::oxidask::delayed::Typed>()?.get::<#owned>()?);
        if *by_reference {
            typed
        } else {
            quote_spanned!(owned.span()=> <#owned as ::std::clone::Clone>::clone(#typed))
        }
    });
    let (output, result) = output(&function.sig.output)?;
    let doc = format!("The task `{label}`: `{label}::delay` records a call of the function instead of making it.");
    let delay_doc = format!("A lazy call of `{label}`; each argument is a value or a `Delayed`.");

    Ok(quote! {
        #function

        #[doc = #doc]
        #[allow(non_camel_case_types)]
        #visibility enum #name {}

        impl #name {
            #[doc = #delay_doc]
            #[allow(dead_code, clippy::too_many_arguments)]
            #visibility fn delay(
                #(#names: impl ::oxidask::delayed::IntoDelayed<#owned>),*
            ) -> ::oxidask::delayed::Delayed<#output> {
                ::oxidask::delayed::call::<#name, #output>(::std::vec![
                    #(::std::clone::Clone::clone(
                        ::oxidask::delayed::IntoDelayed::<#owned>::into_delayed(#names).expr(),
                    )),*
                ])
            }
        }

        impl ::oxidask::delayed::TaskFn for #name {
            const NAME: &'static str = ::std::concat!(::std::module_path!(), "::", #label);
            const LABEL: &'static str = #label;
            const PURE: bool = #pure;

            fn run(inputs: &[::oxidask::Value]) -> ::oxidask::Result<::oxidask::Value> {
                let [#(#names),*] = inputs else {
                    return ::std::result::Result::Err(::oxidask::delayed::wrong_arguments(
                        #label,
                        #n_arguments,
                        inputs.len(),
                    ));
                };
                let result = #name(#(#passed),*);
                let result: #output = #result;
                ::std::result::Result::Ok(::oxidask::Value::new(::oxidask::delayed::Typed::new(result)))
            }

            fn op() -> &'static ::std::sync::Arc<dyn ::oxidask::core::Op> {
                static OP: ::std::sync::LazyLock<::std::sync::Arc<dyn ::oxidask::core::Op>> =
                    ::std::sync::LazyLock::new(::oxidask::delayed::TaskOp::<#name>::shared);
                &OP
            }
        }

        ::oxidask::core::private::inventory::submit! {
            ::oxidask::core::registry::OpEntry {
                kind: <#name as ::oxidask::delayed::TaskFn>::NAME,
                decode: |_| ::std::result::Result::Ok(
                    ::std::clone::Clone::clone(<#name as ::oxidask::delayed::TaskFn>::op()),
                ),
            }
        }
    })
}

fn check_signature(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "a #[task] function cannot be generic or name lifetimes: other processes find it by its path alone",
        ));
    }
    if let Some(keyword) = &signature.asyncness {
        return Err(Error::new(keyword.span(), "a #[task] function cannot be async: a task computes on one thread"));
    }
    if let Some(keyword) = &signature.unsafety {
        return Err(Error::new(keyword.span(), "a #[task] function cannot be unsafe: the engine calls it"));
    }
    Ok(())
}

fn argument(idx: usize, input: &FnArg) -> Result<Argument> {
    let FnArg::Typed(input) = input else {
        return Err(Error::new(
            input.span(),
            "a method cannot be a #[task]: write a function that takes the value as its first argument",
        ));
    };
    let name = format_ident!("argument_{idx}");
    let Type::Reference(reference) = &*input.ty else {
        if let Type::ImplTrait(any) = &*input.ty {
            return Err(Error::new(any.span(), "a #[task] argument needs one concrete type"));
        }
        return Ok(Argument { name, owned: (*input.ty).clone(), by_reference: false });
    };
    if let Some(keyword) = &reference.mutability {
        return Err(Error::new(
            keyword.span(),
            "a #[task] cannot change its arguments: other tasks may read the same value. Take it by value instead",
        ));
    }
    if let Some(lifetime) = &reference.lifetime {
        return Err(Error::new(
            lifetime.span(),
            "a #[task] argument cannot have a named lifetime: it is borrowed only during the call",
        ));
    }
    let owned = match &*reference.elem {
        Type::Slice(slice) => {
            let item = &slice.elem;
            syn::parse_quote_spanned!(slice.span()=> ::std::vec::Vec<#item>)
        }
        Type::Path(path) if path.path.is_ident("str") => {
            syn::parse_quote_spanned!(path.span()=> ::std::string::String)
        }
        owned => owned.clone(),
    };
    Ok(Argument { name, owned, by_reference: true })
}

/// The type that a lazy call promises, and the expression that makes it of the
/// function's `result`.
fn output(output: &ReturnType) -> Result<(TokenStream, TokenStream)> {
    let ReturnType::Type(_, output) = output else { return Ok((quote!(()), quote!(result))) };
    match &**output {
        Type::Reference(reference) => {
            Err(Error::new(reference.span(), "a #[task] cannot return a reference: its result outlives its arguments"))
        }
        Type::ImplTrait(any) => Err(Error::new(any.span(), "a #[task] must return one concrete type")),
        Type::Path(path) => {
            let last = path.path.segments.last();
            let is_result = last.is_some_and(|segment| {
                segment.ident == "Result"
                    && matches!(&segment.arguments, PathArguments::AngleBracketed(arguments)
                        if arguments.args.iter().all(|argument| matches!(argument, GenericArgument::Type(_))))
            });
            Ok(if is_result {
                (
                    quote_spanned!(path.span()=> <#path as ::oxidask::delayed::TaskOutput>::Ok),
                    quote_spanned!(path.span()=> ::oxidask::delayed::TaskOutput::into_task_result(result)?),
                )
            } else {
                (quote!(#path), quote!(result))
            })
        }
        other => Ok((quote!(#other), quote!(result))),
    }
}
