"""What is to be beaten: character 1-3-grams, tf-idf, a linear support vector machine per corpus, the same splits."""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

# Rarer n-grams are left out.
COUNT_MIN = 2


def judged(train, test, noised):
    """The classes that one corpus's machine finds in `test` and in `noised`, texts of (text, class)."""
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=COUNT_MIN, sublinear_tf=True)
    rows = vectorizer.fit_transform([text for text, _ in train])
    machine = LinearSVC(C=0.5).fit(rows, [label for _, label in train])
    return [list(machine.predict(vectorizer.transform(texts))) for texts in (test, noised)]
