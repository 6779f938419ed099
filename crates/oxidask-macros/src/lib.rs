//! Attributes that register operations, kinds of data and user tasks.
//!
//! They exist so that a name, its codec and its row in the registry stand
//! beside the definition they belong to.

mod task;

use proc_macro::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, ItemFn, LitStr, parse_macro_input};

/// `#[task]` on a function adds `name::delay(…)`, which records a call instead
/// of making it; see the `delayed` module of the crate `oxidask`.
///
/// Arguments are owned types or shared references to them (`&T`, `&[T]`,
/// `&str`); the result is an owned type or a `Result` of one. All of them must
/// be serde types. `#[task(impure)]` is for functions whose result depends on
/// more than their arguments: each recorded call is then made on its own.
#[proc_macro_attribute]
pub fn task(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as task::Options);
    let function = parse_macro_input!(item as ItemFn);
    task::expand(&options, &function)
        .unwrap_or_else(|error| {
            // The function itself stays, so that the one mistake gives one error.
            let error = error.to_compile_error();
            quote!(#function #error).into_token_stream()
        })
        .into()
}

/// `#[op("array.reduce")]` on a serialisable struct gives it a name and a codec
/// and registers both. The struct then implements `Op` by hand.
#[proc_macro_attribute]
pub fn op(name: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(name as LitStr);
    let item = parse_macro_input!(item as DeriveInput);
    let ident = &item.ident;
    quote! {
        #item

        impl ::oxidask_core::OpCodec for #ident {
            fn kind(&self) -> &'static str {
                #name
            }

            fn encode(&self) -> ::oxidask_core::Result<::oxidask_core::EncodedOp> {
                Ok(::oxidask_core::EncodedOp {
                    kind: #name.to_owned(),
                    body: ::oxidask_core::private::postcard::to_allocvec(self)?.into(),
                    blobs: ::std::vec::Vec::new(),
                })
            }
        }

        ::oxidask_core::private::inventory::submit! {
            ::oxidask_core::registry::OpEntry {
                kind: #name,
                decode: |encoded| {
                    let op: #ident = ::oxidask_core::private::postcard::from_bytes(&encoded.body)?;
                    Ok(::std::sync::Arc::new(op))
                },
            }
        }
    }
    .into()
}

/// `#[data("array.block")]` on a type that implements `Data` and `Decode`
/// names it and registers its decoder.
#[proc_macro_attribute]
pub fn data(name: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(name as LitStr);
    let item = parse_macro_input!(item as DeriveInput);
    let ident = &item.ident;
    quote! {
        #item

        impl ::oxidask_core::DataKind for #ident {
            fn kind(&self) -> &'static str {
                #name
            }
        }

        ::oxidask_core::private::inventory::submit! {
            ::oxidask_core::registry::DataEntry {
                kind: #name,
                decode: |frames| {
                    <#ident as ::oxidask_core::Decode>::decode(frames).map(::oxidask_core::Value::new)
                },
            }
        }
    }
    .into()
}
