"""scikit-learn fitting models on new samples again and again, and judging them."""

import numpy
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def run(stage):
    random = numpy.random.default_rng(1)
    stage.begin()
    scores = []
    while True:
        points = random.normal(size=(4000, 20))
        kinds = (points[:, :5].sum(axis=1) + random.normal(size=4000) > 0).astype(int)
        train, test, known, asked = train_test_split(points, kinds, random_state=0)
        for model in (
            make_pipeline(StandardScaler(), LogisticRegression()),
            RandomForestClassifier(n_estimators=40, max_depth=8, n_jobs=2),
        ):
            model.fit(train, known)
            scores.append(accuracy_score(asked, model.predict(test)))
            stage.work.did()
