"""Four threads that book and sum up through one SQLAlchemy pool of SQLite connections."""

import queue
import threading

from sqlalchemy import ForeignKey, create_engine, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import QueuePool

from audited import pace

THREADS = 4
JOBS_PER_SECOND = 20


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    customer: Mapped[Customer] = relationship(back_populates="orders")


def configure(connection, _):
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA busy_timeout = 10000")


def book(engine, number):
    with Session(engine) as session, session.begin():
        customer = session.get_one(Customer, 1 + number % 50)
        session.add(Order(cents=number % 1000, customer=customer))
    with Session(engine) as session:
        of_customer = select(func.sum(Order.cents)).where(Order.customer_id == 1 + number % 50)
        return session.scalar(of_customer)


def run(stage):
    engine = create_engine(
        "sqlite:///%s" % (stage.folder / "orders.db"), poolclass=QueuePool, pool_size=THREADS
    )
    event.listen(engine, "connect", configure)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add_all(Customer(name="customer %d" % number) for number in range(50))
    jobs = queue.Queue(maxsize=100)
    done = queue.Queue()

    def serve():
        while True:
            done.put(book(engine, jobs.get()))

    for _ in range(THREADS):
        threading.Thread(target=serve, daemon=True).start()
    stage.begin()
    for number in pace.every(1 / JOBS_PER_SECOND):
        jobs.put(number)
        while not done.empty():
            done.get()
            stage.work.did()
