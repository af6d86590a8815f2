"""The wide part: one weight per n-gram and output, learnt by AdaGrad on sparse rows."""

import numpy

from rows import OUTPUTS, loss_gradient

BATCH = 256


class Wide:
    """Logits are `rows.grams @ weights + bias`; rows are binary n-grams over the square root of their number."""

    def __init__(self, columns):
        self.weights = numpy.zeros((columns, OUTPUTS), numpy.float32)
        self.bias = numpy.zeros(OUTPUTS, numpy.float32)

    def logits(self, grams):
        return (grams @ self.weights + self.bias).astype(numpy.float32)

    def fit(self, rows, random, epochs, rate):
        squares = numpy.full_like(self.weights, 1e-3)
        bias_squares = numpy.full_like(self.bias, 1.0)
        for epoch in range(epochs):
            now = rate * (1 - epoch / epochs)
            for chosen in numpy.array_split(random.permutation(len(rows)), len(rows) // BATCH):
                x = rows.grams[chosen]
                gradient = loss_gradient(self.logits(x), rows.targets[chosen], rows.among[chosen])
                columns, places = numpy.unique(x.indices, return_inverse=True)
                x.indices, x._shape = places.astype(numpy.int32), (len(chosen), len(columns))
                by_weight = x.T @ gradient
                squares[columns] += by_weight**2
                self.weights[columns] -= now * by_weight / numpy.sqrt(squares[columns])
                by_bias = gradient.mean(axis=0)
                bias_squares += by_bias**2
                self.bias -= now * by_bias / numpy.sqrt(bias_squares)
        self.weights[0] = 0
        return self
