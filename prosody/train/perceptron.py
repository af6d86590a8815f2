"""Perceptrons with two hidden layers in numpy: forward, backward, Adam, and the layout that the crate reads."""

import numpy as np


class Perceptron:
    def __init__(self, inputs, hidden, rng):
        sizes = [inputs, *hidden, 1]
        self.weights = [
            rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32) for a, b in zip(sizes[:-1], sizes[1:])
        ]
        self.biases = [np.zeros(b, np.float32) for b in sizes[1:]]

    def forward(self, x):
        """(N, inputs) → (N,), and what the way back needs."""
        seen = [x]
        for layer, (w, b) in enumerate(zip(self.weights, self.biases)):
            x = x @ w + b
            if layer < len(self.weights) - 1:
                x = np.maximum(x, 0)
            seen.append(x)
        return x[:, 0], seen

    def backward(self, seen, error):
        """Gradients in the order of `parameters`, given that of the output."""
        weights, biases = [], []
        d = error[:, None].astype(np.float32)
        for layer in range(len(self.weights) - 1, -1, -1):
            weights.append(seen[layer].T @ d)
            biases.append(d.sum(axis=0))
            if layer:
                d = (d @ self.weights[layer].T) * (seen[layer] > 0)
        return [*reversed(weights), *reversed(biases)]

    def parameters(self):
        return [*self.weights, *self.biases]

    def folded(self, mean, scale):
        """The numbers of the model file, for inputs that are not normalised: layer by layer weights, then biases."""
        first = self.weights[0] / scale[:, None]
        biases = [self.biases[0] - mean @ first, *self.biases[1:]]
        layers = zip([first, *self.weights[1:]], biases)
        return np.concatenate([np.concatenate([w.ravel(), b.ravel()]) for w, b in layers]).astype("<f4")


class Adam:
    def __init__(self, parameters):
        self.parameters = parameters
        self.first = [np.zeros_like(p) for p in parameters]
        self.second = [np.zeros_like(p) for p in parameters]
        self.steps = 0

    def step(self, gradients, rate):
        self.steps += 1
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= rate * (m / (1 - 0.9**self.steps)) / (np.sqrt(v / (1 - 0.999**self.steps)) + 1e-8)
