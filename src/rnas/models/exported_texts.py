"""Check the texts in a program of torch.export, so that none of them is code.

In torch 2.13 the loader evaluates texts of its file as Python: expressions of shapes (sympy), guards on the input's
shape, and names of nodes and tensors, which it prints into the source of a function; it looks up operators, modules and
enumerations by name. Each field that holds a text has a rule here; a text of any other field must be a word: without
brackets, quotes and spaces, so that nothing can be called by it. The JSON's types are not checked by torch, so the rule
goes by the field's name alone, wherever it stands.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable
from functools import partial
from operator import eq
from typing import Any

import torch

__all__ = ["expected_instead"]

#: Operators of ATen that compute tensors from tensors and numbers, with or without a "_" behind (in place). Not all of
#: ATen: `from_file` and `save` write files.
ATEN_NAMES = """
    _adaptive_avg_pool2d _assert_tensor_metadata _log_softmax _native_batch_norm_legit_no_training _softmax _to_copy
    _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact2d abs acos acosh adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d add addbmm addcdiv addcmul addmm
    addmv affine_grid_generator alias all alpha_dropout amax amin any arange argmax argmin argsort asin asinh atan
    atan2 atanh avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bernoulli bilinear bitwise_and bitwise_not
    bitwise_or bitwise_xor bmm broadcast_to cat ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip clone
    column_stack concat concatenate constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d convolution copy copysign cos cosh cosine_similarity cumprod cumsum detach diag diagonal diff
    div divide dot dropout einsum elu embedding empty empty_like eq erf erfc exp exp2 expand expand_as expm1 eye
    feature_alpha_dropout feature_dropout fft_fft2 fft_ifft2 fft_irfft2 fft_rfft2 fill flatten flip floor
    floor_divide fmax fmin fmod frac full full_like gather ge gelu glu grid_sampler grid_sampler_2d group_norm gt
    hardshrink hardsigmoid hardswish hardtanh hstack hypot im2col imag index index_put index_select inner
    instance_norm isfinite isinf isnan kron layer_norm le leaky_relu lerp lift_fresh_copy linalg_matrix_norm
    linalg_norm linalg_vector_norm linear linspace log log10 log1p log2 log_sigmoid log_softmax logaddexp
    logical_and logical_not logical_or logical_xor logit logsumexp lt mT masked_fill matmul max max_pool1d
    max_pool2d max_pool2d_with_indices max_pool3d maximum mean median meshgrid min minimum mish mm moveaxis movedim
    mul multiply mv nan_to_num narrow native_batch_norm native_group_norm native_layer_norm ne neg negative
    new_empty new_full new_ones new_zeros norm ones ones_like outer pad permute pixel_shuffle pixel_unshuffle pow
    prelu prod rand rand_like randn randn_like real reciprocal reflection_pad1d reflection_pad2d relu relu6
    remainder repeat repeat_interleave replication_pad1d replication_pad2d reshape reshape_as rms_norm roll rot90
    round rrelu rsqrt rsub scalar_tensor scaled_dot_product_attention scatter select selu sigmoid sign silu sin sinh
    slice softmax softplus softshrink sort split split_with_sizes sqrt square squeeze stack std std_mean sub
    subtract sum sum_to_size swapaxes sym_numel sym_size sym_stride t take_along_dim tan tanh tensor_split tensordot
    threshold tile to topk transpose tril triu true_divide trunc type_as unbind unflatten unfold unsqueeze
    upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d var var_mean view
    view_as view_as_complex view_as_real vstack where xlogy zero zeros zeros_like
"""
ATEN = frozenset(ATEN_NAMES.split())
#: Arithmetic with the number of images. Operators that call what they are given, such as higher-order ones, are absent.
ARITHMETIC = re.compile(
    r"_operator\.(?:add|and_|eq|floordiv|ge|getitem|gt|le|lt|mod|mul|ne|neg|or_|pos|pow|sub|truediv)"
    r"|math\.(?:ceil|floor|trunc)|torch\.sym_(?:float|int|ite|max|min|not)"
)
#: As sympy's `srepr` prints a shape: calls of these functions, of numbers and symbols, and nothing else.
EXPRESSION = re.compile(
    r"(?:(?:Add|And|CeilDiv|CeilToInt|CleanDiv|Equality|FloatPow|FloatTrueDiv|FloorDiv|FloorToInt|GreaterThan|Identity"
    r"|IntTrueDiv|LessThan|Max|Min|Mod|ModularIndexing|Mul|Not|Or|Pow|PowByNatural|PythonMod|RoundToInt"
    r"|StrictGreaterThan|StrictLessThan|ToFloat|TruncToFloat|TruncToInt|Unequality|Where)\("
    r"|Symbol\('[a-z]\w*'(?:, [a-z_]+=(?:True|False))*\)|Integer\(-?[0-9]+\)|Rational\(-?[0-9]+, [0-9]+\)"
    r"|Float\('[0-9.e+-]+', precision=[0-9]+\)|true|false|, |\))+",
    re.ASCII,
)
#: Comparisons of the input's sizes, as in "(L['images'].size()[0] % 2) == 0".
GUARD = re.compile(
    r"(?:L\['\w+'\](?:\[[0-9]+\])?\.(?:size|stride)\(\)\[[0-9]+\]|(?:max|min|math\.(?:ceil|floor|trunc)|torch\.sym_float)\("
    r"|True|False|\b(?:and|or|not)\b|[0-9. ()+*/%<>=!,-])+",
    re.ASCII,
)
WORD = re.compile(r"[\w.+-]*", re.ASCII)
TEXT = re.compile(r"[\w.,> -]*", re.ASCII)  # also "bchw,cd->bdhw", the equation of an einsum


def _is_operator(text: str) -> bool:
    # An overload, such as "Tensor", and no attribute of every Python object, such as "__class__".
    aten = re.fullmatch(r"torch\.ops\.aten\.(\w+?)_?\.[A-Za-z]\w*", text, re.ASCII)
    return aten[1] in ATEN if aten else bool(ARITHMETIC.fullmatch(text))


def _is_name(text: str) -> bool:
    return text == "" or (text.isascii() and text.isidentifier() and not keyword.iskeyword(text))


def _is_tensor_name(text: str) -> bool:
    # Such a name becomes an attribute of the module that computes the graph, and must not be one that it has already.
    return bool(WORD.fullmatch(text)) and not any(
        part.startswith("__") or hasattr(torch.fx.GraphModule, part) for part in text.split(".")
    )


def _tree(kind: str | None, context: str | None, *children: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "context": context, "children_spec": list(children)}


TENSOR = _tree(None, None)
IMAGES = _tree("builtins.tuple", "null", _tree("builtins.tuple", "null", TENSOR), _tree("builtins.dict", "[]"))

#: The fields that hold more than words, and what a user is told to expect there.
RULES: dict[str, tuple[Callable[[str], object], str]] = {
    "target": (_is_operator, "an operator on tensors, none that could call or write anything"),
    "expr_str": (EXPRESSION.fullmatch, "an expression of sizes"),
    "guards_code": (GUARD.fullmatch, "comparisons of sizes"),
    "path_name": (re.compile(r"(?:weight|tensor)_[0-9]+").fullmatch, "a tensor, no custom or opaque object"),
    "in_spec": (partial(eq, json.dumps([1, IMAGES])), "one tensor of images as the program's only input"),
    "out_spec": (partial(eq, json.dumps([1, TENSOR])), "one tensor of logits as the program's only output"),
    "as_string": (TEXT.fullmatch, "plain text"),
    **dict.fromkeys(("name", "as_name", "forward_arg_names"), (_is_name, "the name of a variable")),
    **dict.fromkeys(
        ("parameter_name", "buffer_name", "tensor_constant_name"), (_is_tensor_name, "the name of a tensor")
    ),
}


def expected_instead(field: str, text: str) -> str | None:
    """Say what a field's text should be; None where it is.

    Args:
        field: the key in the JSON that the text stands under, also as one of a list; "" for a key itself.
        text: a value or a key.
    """
    fits, expected = RULES.get(field, (WORD.fullmatch, "a word"))
    return None if fits(text) else expected
