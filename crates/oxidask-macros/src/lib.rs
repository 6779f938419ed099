//! Attributes that register operations, kinds of data and user tasks.
//!
//! They exist so that a name, its codec and its row in the registry stand
//! beside the definition they belong to.

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitStr, parse_macro_input};

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
