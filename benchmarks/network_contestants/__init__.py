"""The contestants of ``networks.py``: each builds the networks with one library.

They are contestants as in ``contestants``, but the function to time returns a list of arrays: the
scores, or the loss and the gradients in the order of the layers.
"""

from network_contestants.ours import ConvoltNetwork, ReferenceNetwork
from network_contestants.pytorch import TorchChannelsLastNetwork, TorchNetwork
from network_contestants.textbook import TextbookNetwork

OURS: dict[str, type] = {"convolt": ConvoltNetwork}
RIVALS: dict[str, type] = {
    "textbook": TextbookNetwork,
    "reference": ReferenceNetwork,
    "torch": TorchNetwork,
    "torch-channels-last": TorchChannelsLastNetwork,
}

__all__ = ["OURS", "RIVALS"]
